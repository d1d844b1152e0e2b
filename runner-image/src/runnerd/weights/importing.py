"""Puts files of this machine into a cache, as if they had been pulled from a source."""

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from modelrunner_protocol.sources import artifact_key, describe
from modelrunner_protocol.wire import Artifact, HttpSource, Source, WeightsFile
from runnerd.weights import disk
from runnerd.weights.clock import Clock
from runnerd.weights.failure import WeightsError
from runnerd.weights.headers import read_artifact
from runnerd.weights.lease import only_writer
from runnerd.weights.local_files import LocalFile
from runnerd.weights.names import digest_of, safe_name
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.store import Store

logger = logging.getLogger(__name__)

_BLOCK: Final = 4 * 1024 * 1024
_FICLONE: Final = 0x40049409
"""Linux `ioctl`: let a file share the blocks of another, where the file system can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What is in the cache now. `there`: it was before. `keys`: by which it is found."""

    artifact: Artifact
    folder: Path
    keys: tuple[str, ...]
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import.

    Attributes:
        source: What the files are from, so that a Model with it finds them.
        root: Of the cache.
        sha256: What the one file has to have; "" for anything.
        move: Whether the files leave their place, once they are in the cache.
    """

    source: Source
    root: Path
    meter: ProgressMeter
    clock: Clock
    sha256: str = ""
    move: bool = False
    key: str = ""

    async def files(self, files: Sequence[LocalFile]) -> Imported:
        """Import files that lie somewhere.

        Raises:
            WeightsError: they are no model, not the right one, or do not fit.
            OSError: a file cannot be read, or the volume not be written.
        """
        total = sum(one.file.size_bytes for one in files)
        self.meter.total = total

        def bring(store: Store) -> list[WeightsFile]:
            disk.check_space(self.root, 0 if self.move else total, 0)
            return [self._brought(one, store.partial / safe_name(one.file.path)) for one in files]

        found = await self._import(bring)
        if self.move and not found.there:
            for one in files:
                one.path.unlink()
        return found

    async def stream(self, stream: BinaryIO, name: str) -> Imported:
        """Import one file that comes as a stream.

        Raises:
            WeightsError: it is no model, or not the right one.
            OSError: the volume cannot be written.
        """

        def bring(store: Store) -> list[WeightsFile]:
            path = store.partial / safe_name(name)
            digest = _copy(stream, path, self._count)
            return [WeightsFile(path=name, size_bytes=path.stat().st_size, sha256=digest)]

        return await self._import(bring)

    async def _import(self, bring: Callable[[Store], list[WeightsFile]]) -> Imported:
        self.root.mkdir(parents=True, exist_ok=True)
        store = Store(self.root, self.key or artifact_key(self.source))
        there = store.whole()
        if there is None:
            async with only_writer(store, self.clock, on_wait=self._wait):
                artifact = await asyncio.to_thread(self._bring, store, bring)
        else:
            artifact = there
            self._check(list(there.files))
            store.used()
        self.meter.done(artifact.size_bytes)
        keys = (store.key, *await self._also(store, artifact))
        return Imported(artifact=artifact, folder=store.folder, keys=keys, there=there is not None)

    def _wait(self) -> None:
        self.meter.message = "a pull of the same weights is at work: waiting for it"
        logger.warning("%s", self.meter.message)

    def _bring(self, store: Store, bring: Callable[[Store], list[WeightsFile]]) -> Artifact:
        store.discard_partial()
        store.partial.mkdir(mode=0o775)
        try:
            files = bring(store)
            self._check(files)
            where = describe(self.source)
            artifact = read_artifact(store.partial, files, where, digest=digest_of(files))
            if not store.adopt(self.source, artifact):
                store.publish(self.source, artifact)
        except BaseException:
            with suppress(OSError):
                store.discard_partial()
            raise
        # Its files may have been there before, under names of their own.
        return store.whole() or artifact

    def _check(self, files: Sequence[WeightsFile]) -> None:
        """Compare the one file with what it has to be."""
        told = self.sha256 or (self.source.http.sha256 if self.source.http else "")
        if not told:
            return
        if len(files) != 1:
            raise WeightsError(f"--sha256 is that of one file, and there are {len(files)}")
        if files[0].sha256 != told.lower():
            raise WeightsError(
                f"the file has sha256 {files[0].sha256} instead of {told}: it is damaged, or "
                "another one"
            )

    async def _also(self, store: Store, artifact: Artifact) -> list[str]:
        """Let the same URL with the file's sha256, and without one, lead to it as well.

        A Model may name the sha256 or not, which are two keys, and both are right.
        """
        http, keys = self.source.http, []
        if http is None or self.key or len(artifact.files) != 1:
            return []
        for sha256 in ("", artifact.files[0].sha256):
            source = Source(http=HttpSource(url=http.url, sha256=sha256))
            other = Store(self.root, artifact_key(source))
            if other.key == store.key:
                continue
            async with only_writer(other, self.clock):
                if other.whole() is not None or other.adopt(source, artifact):
                    keys.append(other.key)
        return keys

    def _brought(self, one: LocalFile, target: Path) -> WeightsFile:
        if not (self.move and _linked(one.path, target)) and not _cloned(one.path, target):
            with one.path.open("rb") as stream:
                digest = _copy(stream, target, self._count)
        else:
            digest = _hash(target, self._count)
        size = target.stat().st_size
        if size != one.file.size_bytes:
            raise WeightsError(f"{one.path} changed while it was copied: import it again")
        return replace(one.file, sha256=digest)

    def _count(self, count: int) -> None:
        self.meter.verifying(self.meter.completed + count)


def _linked(path: Path, target: Path) -> bool:
    """Give a file a second name; the first one goes at the end."""
    if path.is_symlink():
        return False
    try:
        target.hardlink_to(path)
    except OSError:
        return False
    with suppress(OSError):
        # Runners read it as another user.
        target.chmod(target.stat().st_mode | 0o444)
    return True


def _cloned(path: Path, target: Path) -> bool:
    """Copy without copying."""
    with path.open("rb") as source, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError:
            return False
    return True


def _hash(path: Path, on_bytes: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            on_bytes(len(block))
        os.fsync(file.fileno())
    return found.hexdigest()


def _copy(stream: BinaryIO, target: Path, on_bytes: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with target.open("wb") as copy:
        while block := stream.read(_BLOCK):
            found.update(block)
            copy.write(block)
            on_bytes(len(block))
        copy.flush()
        os.fsync(copy.fileno())
    return found.hexdigest()
