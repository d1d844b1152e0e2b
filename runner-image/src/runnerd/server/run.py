"""`runnerd run`: the engine first, the imports after. Light to import."""

import gc
import os
import signal

from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import TERMINATION_LOG, TERMINATION_LOG_LIMIT, Outcome
from runnerd.config import ConfigError, read_run_config, read_settings
from runnerd.engines.launch import Launcher
from runnerd.server.listener import open_listener


def run(*, started_at: float) -> int:
    """Serve until SIGTERM.

    Returns:
        0 after a drain, 1 when the runner failed, 2 when its configuration is wrong.
    """
    # PID 1 has no default action: a SIGTERM that came during the imports would be lost.
    early: list[int] = []
    # Imports make few cycles and many objects; the collector is back once the runner listens.
    gc.disable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: early.append(number))
    try:
        settings = read_settings()
        config = read_run_config()
        launcher = Launcher(config, settings)
        launcher.begin()
    except ConfigError as error:
        return _refuse(str(error), 2)
    try:
        listener = open_listener(config.port, settings.stall_timeout)
        # Only now: these imports take longer than all of the above.
        from runnerd.server.main import serve_until_signalled  # noqa: PLC0415  # see above

        return serve_until_signalled(
            config, settings, launcher, listener, started_at=started_at, early=early
        )
    except ConfigError as error:
        return _refuse(str(error), 1)
    finally:
        launcher.abandon()


def _refuse(message: str, status: int) -> int:
    """Tell the log and the kubelet why there is nothing to supervise."""
    # Not from the settings: it may be they that cannot be read.
    file_name = os.environ.get("TERMINATION_LOG") or TERMINATION_LOG
    import logging  # noqa: PLC0415  # not on the way to a healthy start

    from runnerd.logs import fields, set_up  # noqa: PLC0415  # not on the way to a healthy start

    set_up("info")
    log = logging.getLogger(__name__)
    log.error("cannot run", extra=fields(reason=Reason.INVALID_CONFIGURATION, cause=message))
    outcome = Outcome(reason=Reason.INVALID_CONFIGURATION, message=message[:1000])
    try:
        with open(file_name, "wb") as file:  # noqa: PTH123  # pathlib is slow to import
            file.write(encode(outcome).encode()[:TERMINATION_LOG_LIMIT])
    except OSError as error:
        log.warning("no termination message", extra=fields(cause=error.strerror))
    return status
