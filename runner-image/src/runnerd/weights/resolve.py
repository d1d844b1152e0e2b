"""Which source a configuration names, and what it holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from modelrunner_protocol.wire import Artifact, PullConfig
from runnerd.weights.claim import resolve_claim
from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.http import HttpWeights
from runnerd.weights.http_session import new_session
from runnerd.weights.settings import Settings
from runnerd.weights.source import WeightsSource


async def resolve(config: PullConfig, settings: Settings, clock: Clock) -> Artifact:
    """What the source holds.

    Raises:
        WeightsError: nothing there, or nothing that can be run.
    """
    if config.source.claim is not None:
        return await resolve_claim(config.source.claim, Path(config.root))
    async with open_source(config, settings, clock) as source:
        return await source.resolve()


@asynccontextmanager
async def open_source(
    config: PullConfig, settings: Settings, clock: Clock
) -> AsyncIterator[WeightsSource]:
    """The source that can be pulled.

    Raises:
        WeightsError: there is none; a volume is used in place.
    """
    if config.source.http is None:
        raise WeightsError("there is nothing to pull: weights on a volume are used in place")
    async with new_session(settings.stall_timeout) as session:
        yield HttpWeights(
            config.source.http, session, timeout=settings.resolve_timeout, clock=clock
        )
