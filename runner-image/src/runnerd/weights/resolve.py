"""Which source a configuration names, and what it holds.

Each kind of source is imported when one is named: its libraries take longer to import than a cache
takes to answer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.references import locate
from modelrunner_protocol.sources import Bucket as BucketSource
from modelrunner_protocol.sources import bucket_of
from modelrunner_protocol.wire import Artifact, HuggingFaceSource, OciSource, PullConfig
from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.retry import Patience
from runnerd.weights.settings import Settings
from runnerd.weights.source import WeightsSource
from runnerd.weights.store import Store

if TYPE_CHECKING:
    import aiohttp


def in_cache(config: PullConfig) -> Artifact | None:
    """What the cache holds of the source, if that is all of it: then nobody has to be asked."""
    store = Store(Path(config.root), config.key)
    artifact = store.whole()
    if artifact is not None:
        store.used()
    return artifact


async def resolve(config: PullConfig, settings: Settings, clock: Clock) -> Artifact:
    """What the source holds.

    Raises:
        WeightsError: nothing there, or nothing that can be run.
    """
    if config.source.claim is not None:
        from runnerd.weights.claim import resolve_claim

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
    source = config.source
    patience = Patience(limit=settings.resolve_timeout, clock=clock)
    if (bucket := bucket_of(source)) is not None:
        yield _bucket_weights(bucket, config, settings, patience)
        return
    http, oci, hub = source.http, source.oci, source.hugging_face
    if http is None and oci is None and hub is None:
        raise WeightsError("there is nothing to pull: weights on a volume are used in place")
    from runnerd.weights.http_session import new_session

    async with new_session(settings.stall_timeout) as session:
        if oci is not None:
            yield _oci_weights(oci, config, settings, session, patience)
        elif hub is not None:
            yield _hub_weights(hub, config, session, patience)
        elif http is not None:
            from runnerd.weights.http import HttpWeights

            yield HttpWeights(http, session, patience)


def _oci_weights(
    source: OciSource,
    config: PullConfig,
    settings: Settings,
    session: "aiohttp.ClientSession",
    patience: Patience,
) -> WeightsSource:
    from runnerd.weights.oci.credentials import read_keyring
    from runnerd.weights.oci.registry import Registry
    from runnerd.weights.oci.weights import OciWeights

    try:
        location = locate(source.reference)
    except ValueError as error:
        message = f"{error}: correct spec.source.oci.reference"
        raise WeightsError(message, reason=Reason.INVALID_CONFIGURATION) from error
    registry = Registry(
        session,
        location,
        insecure=source.insecure,
        keyring=read_keyring(config.credentials),
        mirrors=settings.mirrors.get(location.registry, ()),
    )
    return OciWeights(source.reference, location, registry, patience)


def _hub_weights(
    source: HuggingFaceSource,
    config: PullConfig,
    session: "aiohttp.ClientSession",
    patience: Patience,
) -> WeightsSource:
    from runnerd.weights.huggingface.hub import Hub
    from runnerd.weights.huggingface.token import read_token
    from runnerd.weights.huggingface.weights import HuggingFaceWeights

    token = read_token(config.credentials)
    origin = f"the Secret {config.credentials.secret}" if config.credentials else ""
    hub = Hub(token=token, origin=origin)
    return HuggingFaceWeights(source, hub, session, patience)


def _bucket_weights(
    source: BucketSource, config: PullConfig, settings: Settings, patience: Patience
) -> WeightsSource:
    from runnerd.weights.buckets.bucket import Bucket
    from runnerd.weights.buckets.doors import entrance
    from runnerd.weights.buckets.weights import BucketWeights

    way = entrance(source, config.credentials, stall_timeout=settings.stall_timeout)
    return BucketWeights(source, Bucket(way), patience)
