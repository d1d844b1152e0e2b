"""`runnerd resolve`, `pull` and `verify` in a Job: from the environment to the termination message."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib import import_module
from typing import Final, TypeVar

from modelrunner_protocol.codec import WireError, decode, encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import describe, source_kind
from modelrunner_protocol.wire import PULL_CONFIG_VARIABLE, Artifact, Outcome, PullConfig
from runnerd import logs
from runnerd.weights import outcome as termination
from runnerd.weights import resolve as resolving
from runnerd.weights.clock import Clock, SystemClock
from runnerd.weights.failure import WeightsError
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.report import reporting
from runnerd.weights.settings import LOG_LEVEL, Settings

logger = logging.getLogger(__name__)

STOPPED: Final = 128 + signal.SIGTERM
"""Exit code of a pull that was asked to stop; what it has downloaded is kept."""

T = TypeVar("T")

_Work = Callable[[PullConfig, Settings, ProgressMeter, Clock], Awaitable[Outcome]]


def resolve() -> int:
    """Find out what the source in RUNNERD_PULL holds; 0 when it can be pulled and run."""
    return _end(_run(_resolve, os.environ))


def pull() -> int:
    """Bring the source in RUNNERD_PULL into the cache; 0 when all of it is there."""
    return _end(_run(_pull, os.environ))


def verify() -> int:
    """Hash what RUNNERD_PULL names, in the cache or where it lies; 0 when it is sound."""
    return _end(_run(_verify, os.environ))


def _end(ended: tuple[Outcome, int]) -> int:
    found, code = ended
    termination.write(found, os.environ)
    sys.stdout.write(encode(found) + "\n")
    sys.stdout.flush()
    if found.reason is not None:
        logger.error("%s: %s", found.reason, found.message)
    return code


def _run(work: _Work, environment: Mapping[str, str]) -> tuple[Outcome, int]:
    # Standard output is for the outcome.
    logs.set_up(environment.get(LOG_LEVEL, ""), sys.stderr)
    try:
        config = decode(PullConfig, environment.get(PULL_CONFIG_VARIABLE, ""))
        settings = Settings.from_environment(environment)
    except (WireError, ValueError) as error:
        message = f"{PULL_CONFIG_VARIABLE} or a setting cannot be read: {error}"
        return Outcome(reason=Reason.INVALID_CONFIGURATION, message=message), 1
    clock = SystemClock()
    meter, begun = ProgressMeter(clock), clock.now()
    ended, code = _ended(work(config, settings, meter, clock), config)
    took = replace(
        ended,
        downloaded_bytes=meter.downloaded,
        retries=meter.retries,
        seconds=round(clock.now() - begun, 3),
    )
    return took, code


def _ended(work: Awaitable[Outcome], config: PullConfig) -> tuple[Outcome, int]:
    try:
        return asyncio.run(until_stopped(work)), 0
    except WeightsError as error:
        told = _failed(error.reason, str(error), retryable=error.retryable)
        return replace(told, missing_bytes=error.missing_bytes, damaged=error.damaged), 1
    except asyncio.CancelledError:
        message = f"stopped before {describe(config.source)} was complete; what came is kept"
        return _failed(Reason.PULL_FAILED, message, retryable=True), STOPPED
    except Exception as error:
        logger.exception("unexpected")
        message = f"unexpected {type(error).__name__}: {error} (a fault of runnerd; see its log)"
        return _failed(Reason.PULL_FAILED, message, retryable=True), 1


def _failed(reason: Reason, message: str, *, retryable: bool) -> Outcome:
    return Outcome(reason=reason, message=message, retryable=retryable)


async def until_stopped(work: Awaitable[T]) -> T:
    """Work until it is done, or a signal asks to stop.

    Raises:
        asyncio.CancelledError: it was stopped.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    return await task


async def pull_by(
    config: PullConfig, settings: Settings, meter: ProgressMeter, clock: Clock
) -> Artifact:
    """Bring a source into the cache within the limits of the settings; `meter` tells how far it is.

    Raises:
        WeightsError: it cannot be done; what came is kept.
    """
    if (there := resolving.in_cache(config)) is not None:
        meter.done(there.size_bytes)
        return there
    from runnerd.weights.limited import pull_from  # noqa: PLC0415  # most of it is for who pulls

    async with resolving.open_source(config, settings, clock) as source:
        return await pull_from(source, config, settings, meter, clock)


async def _resolve(
    config: PullConfig, settings: Settings, meter: ProgressMeter, clock: Clock
) -> Outcome:
    del meter  # headers are not worth telling: it is over in a moment
    if (there := resolving.in_cache(config)) is not None:
        logger.info("%s is in the cache already", describe(config.source))
        return Outcome(artifact=there, cached=True)
    artifact = await resolving.resolve(config, settings, clock)
    logger.info("resolved %s: %s", describe(config.source), encode(artifact))
    return Outcome(artifact=artifact)


async def _pull(
    config: PullConfig, settings: Settings, meter: ProgressMeter, clock: Clock
) -> Outcome:
    async with _telling(config, meter, clock):
        artifact = await pull_by(config, settings, meter, clock)
    logger.info("%s is in the cache; %d bytes came", describe(config.source), meter.downloaded)
    return Outcome(artifact=artifact)


async def _verify(
    config: PullConfig, settings: Settings, meter: ProgressMeter, clock: Clock
) -> Outcome:
    del settings  # nobody is asked
    from runnerd.weights.verify_job import verified  # noqa: PLC0415  # a pull never needs it

    async with _telling(config, meter, clock):
        artifact = await verified(config, meter, clock)
    logger.info("%s is sound", describe(config.source))
    return Outcome(artifact=artifact)


@asynccontextmanager
async def _telling(config: PullConfig, meter: ProgressMeter, clock: Clock) -> AsyncIterator[None]:
    """Tell how far it is while the block runs: in the log, and over HTTP."""
    server = asyncio.create_task(_serve(config, meter))
    try:
        async with reporting(meter, clock, sys.stderr):
            yield
    finally:
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server


async def _serve(config: PullConfig, meter: ProgressMeter) -> None:
    # Its libraries take a while to import: the first bytes need not wait for them.
    server = await asyncio.to_thread(import_module, "runnerd.weights.server")
    async with server.serving(meter, config.port, source_kind(config.source)):
        await asyncio.get_running_loop().create_future()
