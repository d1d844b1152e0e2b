"""The event loop of `runnerd run` and its signals."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Sequence

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.child import Child
from runnerd.engines.launch import Launcher
from runnerd.logs import fields, set_up
from runnerd.server.port import read_less_at_once
from runnerd.server.process import Runner

log = logging.getLogger(__name__)


def serve_until_signalled(
    config: RunConfig,
    settings: Settings,
    launcher: Launcher,
    listener: socket.socket,
    *,
    started_at: float,
    early: Sequence[int],
) -> int:
    """Serve until SIGTERM or SIGINT; `early` holds signals that came before.

    Returns:
        0 after a drain, 1 when the runner itself failed.
    """
    set_up(settings.log_level)
    read_less_at_once()
    first = launcher.first
    log.info(
        "started",
        extra=fields(
            model=config.model,
            namespace=config.namespace,
            engine=config.engine,
            command=launcher.command,
            engine_after=first.started_at - started_at if isinstance(first, Child) else None,
            imported_after=time.time() - started_at,
        ),
    )

    async def main() -> bool:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if early:
            stop.set()
        runner = Runner(config, settings, launcher, listener, started_at=started_at)
        return await runner.serve(stop)

    return 0 if asyncio.run(main()) else 1
