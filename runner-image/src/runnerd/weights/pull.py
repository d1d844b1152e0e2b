"""Brings an artifact into the cache: once, whole, or not at all."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelrunner_protocol.sources import describe
from modelrunner_protocol.wire import Artifact, PullConfig, WeightsFile
from runnerd.weights import disk
from runnerd.weights.download import Download, TooLongError, partial_size, verify
from runnerd.weights.failure import WeightsError
from runnerd.weights.headers import read_artifact
from runnerd.weights.http_status import is_strong
from runnerd.weights.lease import only_writer
from runnerd.weights.manifest import renamed
from runnerd.weights.names import digest_of, safe_name
from runnerd.weights.pace import Pace
from runnerd.weights.partial import PartialFile
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.retry import Patience, Retrier
from runnerd.weights.source import WeightsSource, WrongDigestError
from runnerd.weights.store import Store
from runnerd.weights.verify import Kept, good_files

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Pull:
    """One pull of one artifact.

    Args:
        config: The work; its source is the one that `source` reads.
        patience: It fails after so long without progress.
        bandwidth: Bytes a second at most; 0: any number.
        connections: Parts of a large file are fetched side by side over so many.
    """

    config: PullConfig
    source: WeightsSource
    meter: ProgressMeter
    patience: Patience
    connections: int = 1
    bandwidth: float = 0.0
    # Bytes of the files that are fetched, of which a folder that is mended has only some.
    _fetched: int | None = field(default=None, init=False)

    async def run(self) -> Artifact:
        """Do what is left to do; nothing when the cache holds the artifact already.

        Raises:
            WeightsError: it cannot be done; the cache is as whole as before.
        """
        store = Store(Path(self.config.root), self.config.key)
        expected = self.config.expected
        try:
            async with only_writer(
                store, self.patience.clock, on_wait=lambda: self._wait_for(store)
            ):
                if store.whole() is None:
                    await self._fetch(store)
                # The files may have been there before, under names of their own.
                artifact = store.whole()
                if artifact is None:
                    raise WeightsError(f"{store.folder} was removed meanwhile", retryable=True)
                store.used()
        except OSError as error:
            needed = self._fetched
            if needed is None:
                needed = expected.size_bytes if expected else self.meter.total or 0
            failure = disk.failure_of(error, store.root, needed, _held(store))
            if isinstance(failure, disk.VolumeFullError):
                # It must not be us who keep the volume full.
                self._forget(store)
            raise failure from error
        self.meter.done(artifact.size_bytes)
        return artifact

    def _wait_for(self, store: Store) -> None:
        logger.info("another pull writes %s: waiting for it", store.folder)
        self.meter.message = "another pull of the same weights is at work"

    async def _fetch(self, store: Store) -> None:
        self.meter.asking()
        expected = self.config.expected or await self.source.resolve()
        # What is known by its bytes may be here; then nobody need be asked for the rest of it.
        if await self._adopted(store, expected, expected.files):
            return
        files = await self._files(expected)
        if await self._adopted(store, expected, files):
            return
        self.meter.working()
        if kept := await asyncio.to_thread(good_files, store, files):
            await self._mend(store, kept, expected)
            return
        await self._check_space(store, files)
        artifact = await self._download(store, files, expected)
        await asyncio.to_thread(store.publish, self.config.source, artifact)

    async def _adopted(
        self, store: Store, expected: Artifact, files: tuple[WeightsFile, ...]
    ) -> bool:
        """Whether another source brought the same bytes to this volume."""
        if sum(file.size_bytes for file in files) != expected.size_bytes:
            return False
        named = replace(expected, files=files, digest=expected.digest or digest_of(files))
        if not await asyncio.to_thread(store.adopt, self.config.source, named):
            return False
        logger.info("%s is on the volume already, from another source", store.folder)
        return True

    async def _mend(self, store: Store, kept: Kept, expected: Artifact) -> None:
        """Fetch only what is not good any more."""
        logger.warning("%s is damaged: %s are kept", store.folder, ", ".join(sorted(kept.names)))
        missing = [file for file in kept.files if file.path not in kept.names]
        await self._check_space(store, missing)
        self.meter.total = sum(file.size_bytes for file in kept.files)
        for file in kept.files:
            if file.path in kept.names:
                self.meter.resuming(file.size_bytes)
                self.meter.finished(file.size_bytes)
        await self._download_all(store, missing, expected)
        named = replace(expected, digest=expected.digest or digest_of(kept.files))
        artifact = renamed(kept.held, named, kept.files)
        await asyncio.to_thread(store.publish, self.config.source, artifact, into=kept.place)

    async def _check_space(self, store: Store, files: Sequence[WeightsFile]) -> None:
        total = sum(file.size_bytes for file in files)
        self.meter.total = self._fetched = total
        held = sum(min(partial_size(store.partial, one.path), one.size_bytes) for one in files)
        try:
            disk.check_space(store.root, total, held)
        except disk.VolumeFullError as error:
            if error.hopeless:
                self._forget(store)
            raise

    async def _files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        files = await self.patience.persist(
            f"resolving {describe(self.config.source)}",
            lambda: self.source.files(expected),
            on_wait=self._tell,
        )
        names = [safe_name(file.path) for file in files]
        if not names or len({name.lower() for name in names}) < len(names):
            raise WeightsError("an artifact needs files, and each of them a name of its own")
        return files

    async def _download(
        self, store: Store, files: tuple[WeightsFile, ...], expected: Artifact
    ) -> Artifact:
        where = describe(self.config.source)
        found, etag = await self._download_all(store, files, expected)
        # What the source calls the artifact; without a name it is that of its bytes.
        artifact = await asyncio.to_thread(
            read_artifact,
            store.partial,
            found,
            where,
            digest=expected.digest or digest_of(found),
            etag=etag if len(found) == 1 and etag else expected.etag,
        )
        # A source may tell what the files do not.
        return replace(
            artifact,
            revision=expected.revision,
            architecture=artifact.architecture or expected.architecture,
            context_size=artifact.context_size or expected.context_size,
        )

    async def _download_all(
        self, store: Store, files: Sequence[WeightsFile], expected: Artifact
    ) -> tuple[list[WeightsFile], str]:
        """The files in the partial folder, with their digests; the ETag of the last as sent."""
        where = describe(self.config.source)
        retrier = Retrier(what=f"pulling {where}", patience=self.patience, on_wait=self._tell)
        found, etag = [], ""
        for file in files:
            try:
                one, etag = await self._download_file(
                    store, file, retrier, where, expected.etag if len(files) == 1 else ""
                )
            except (WrongDigestError, TooLongError):
                with contextlib.suppress(OSError):
                    store.discard_partial_file(file.path)
                raise
            found.append(one)
            self.meter.finished(one.size_bytes)
        return found, etag

    async def _download_file(
        self, store: Store, file: WeightsFile, retrier: Retrier, where: str, etag: str
    ) -> tuple[WeightsFile, str]:
        """One whole file in the partial folder; with its digest, and its ETag as sent."""
        store.disown_partial_file(file.path)
        async with PartialFile(store.partial, file.path, file.size_bytes) as partial:
            await partial.recover()
            if file.etag and partial.validator not in {"", file.etag}:
                logger.warning("%s of %s changed: starting over", file.path, where)
                await partial.restart(file.etag)
            etag = file.etag or etag
            self.meter.resuming(partial.held)
            self.meter.asking()
            if partial.held:
                held, total = disk.size_text(partial.held), disk.size_text(file.size_bytes)
                logger.info("resuming %s: %s of %s are there", file.path, held, total)
            elif is_strong(etag):
                # What was resolved is what has to come; it also ties parts together.
                await partial.identify(etag)
            download = Download(
                source=self.source,
                where=where,
                file=file,
                partial=partial,
                meter=self.meter,
                retrier=retrier,
                pace=Pace(self.bandwidth, self.patience.clock),
                connections=self.connections,
            )
            await download.run()
            self.meter.verifying(partial.size)
            digest = await verify(partial, file, self.source)
        return replace(file, sha256=digest), download.etag

    def _tell(self, message: str) -> None:
        # When it goes on is known once a byte comes: until then the reason stays.
        if message:
            self.meter.retrying(message)

    @staticmethod
    def _forget(store: Store) -> None:
        with contextlib.suppress(OSError):
            store.discard_partial()


def _held(store: Store) -> int:
    """Bytes that an unfinished pull has on the volume."""
    try:
        return sum(partial_size(store.partial, entry.name) for entry in store.partial.iterdir())
    except OSError:
        return 0
