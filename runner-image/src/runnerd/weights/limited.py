"""A pull within the limits that the settings give."""

import asyncio
from collections.abc import Awaitable

from modelrunner_protocol.durations import format_duration
from modelrunner_protocol.wire import Artifact, PullConfig
from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.pull import Pull
from runnerd.weights.retry import Patience
from runnerd.weights.settings import TIMEOUT, Settings
from runnerd.weights.source import WeightsSource


async def pull_from(
    source: WeightsSource,
    config: PullConfig,
    settings: Settings,
    meter: ProgressMeter,
    clock: Clock,
) -> Artifact:
    """Bring what `source` holds into the cache; `meter` tells how far it is.

    Raises:
        WeightsError: it cannot be done, or not in time; what came is kept.
    """
    pulling = Pull(
        config=config,
        source=source,
        meter=meter,
        patience=Patience(limit=settings.give_up_after, clock=clock),
        connections=settings.connections,
        bandwidth=settings.bandwidth,
    )
    return await _in_time(pulling.run(), settings.timeout)


async def _in_time(work: Awaitable[Artifact], limit: float | None) -> Artifact:
    end = asyncio.timeout(limit)
    try:
        async with end:
            return await work
    except TimeoutError as error:
        if limit is None or not end.expired():
            raise
        message = (
            f"the pull did not end within {format_duration(limit)} ({TIMEOUT}): what came is kept"
        )
        raise WeightsError(message, retryable=True) from error
