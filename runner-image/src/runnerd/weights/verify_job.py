"""`runnerd verify` as a Job: one artifact, in the cache or where somebody else put it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import WireError
from modelrunner_protocol.sources import describe, describe_claim
from modelrunner_protocol.wire import Artifact, ClaimSource, PullConfig, WeightsFile
from runnerd.weights.claim import resolve_claim
from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.lease import only_writer
from runnerd.weights.names import digest_of as digest_of_all
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.store import Store
from runnerd.weights.verify import Finding, digest_of, set_apart, verify

_NAMED: Final = 8


class DamagedError(WeightsError):
    """What is there is not what it should be."""

    damaged = True


async def verified(config: PullConfig, meter: ProgressMeter, clock: Clock) -> Artifact:
    """Hash an artifact; with the sha256 of all files.

    What is damaged in a cache is set apart, so that the next pull fetches it again; where the volume
    cannot be written it is only told. Weights that are used in place are never touched; they are
    compared with what is expected, as far as that is known.

    Raises:
        WeightsError: it is damaged, or cannot be read; the message names the files.
    """
    if config.source.claim is not None:
        return await _in_place(config, config.source.claim, meter)
    store = Store(Path(config.root), config.key)
    try:
        artifact = store.recorded()
    except (OSError, WireError) as error:
        raise DamagedError(
            f"{store.folder} holds nothing that could be verified ({error}): pull it again"
        ) from error
    counter = _Counter(meter, artifact.size_bytes)
    found = await asyncio.to_thread(lambda: list(verify(store, counter)))
    if not found:
        meter.done(artifact.size_bytes)
        return artifact
    raise DamagedError(_told(describe(config.source), found, await _set_apart(store, found, clock)))


async def _set_apart(store: Store, found: list[Finding], clock: Clock) -> str:
    """What became of the damaged files, in words."""
    try:
        async with only_writer(store, clock):
            await asyncio.to_thread(set_apart, store, found)
    except OSError as error:
        return f"nothing was set apart, since the volume cannot be written ({error.strerror})"
    return "they were set apart: the next pull fetches them again, and only them"


async def _in_place(config: PullConfig, source: ClaimSource, meter: ProgressMeter) -> Artifact:
    root, where = Path(config.root), describe_claim(source)
    artifact = await resolve_claim(source, root)
    counter = _Counter(meter, artifact.size_bytes)
    files: list[WeightsFile] = []
    try:
        for file in artifact.files:
            sha256 = await asyncio.to_thread(digest_of, root / file.path, counter)
            files.append(replace(file, sha256=sha256))
    except OSError as error:
        raise WeightsError(f"{where} cannot be read: {error.strerror}") from error
    known = {file.path: file.sha256 for file in config.expected.files} if config.expected else {}
    changed = [file.path for file in files if known.get(file.path, "") not in {"", file.sha256}]
    if changed:
        raise DamagedError(
            f"{where} is not what it was: {', '.join(changed[:_NAMED])} changed or is damaged: "
            "put the file there again, or verify once more if it was replaced on purpose"
        )
    meter.done(artifact.size_bytes)
    return replace(artifact, files=tuple(files), digest=digest_of_all(files))


def _told(where: str, found: list[Finding], then: str) -> str:
    names = [f"{one.file or 'the manifest'} ({one.problem})" for one in found[:_NAMED]]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{where} is damaged in the cache: {'; '.join(names)}{more}; {then}"


class _Counter:
    """Tells the meter how many bytes were hashed."""

    def __init__(self, meter: ProgressMeter, total: int) -> None:
        self._meter = meter
        self._read = 0
        meter.total = total

    def __call__(self, count: int) -> None:
        self._read += count
        self._meter.verifying(self._read)
