"""Takes a model out of a tar archive, as `docker model package` and `… export` write it.

Source: docker/model-runner `pkg/distribution/tarball/{reader,target}.go`: the blobs as
`blobs/sha256/<digest>`, and at the end `manifest.json`, which is an OCI manifest.
"""

import asyncio
import hashlib
import io
import posixpath
import re
import tarfile
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.install import install, landing, malformed
from runnerd.standalone.catalogue.refusal import refusal_of
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights import disk
from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.documents import LONGEST

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BLOCK: Final = 1024 * 1024
_MOST_ENTRIES: Final = 2000
_BLOB: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_MANIFEST: Final = "manifest.json"


async def load(catalogue: Catalogue, chunks: AsyncIterator[bytes]) -> Stored:
    """Read a model from an archive that comes in pieces of any size. It gets no tag.

    Raises:
        PullRefusedError: 400: no such archive; 422: nothing that can be run here; 500: the disk.
    """
    stream = _Stream(chunks, asyncio.get_running_loop())
    try:
        return await asyncio.to_thread(_load, catalogue, stream)
    except WeightsError as error:
        raise refusal_of(error) from error
    except OSError as error:
        raise refusal_of(disk.failure_of(error, catalogue.root, 0)) from error
    finally:
        stream.stop()


class _BrokenOffError(Exception):
    """The sender went away."""


class _Stream(io.RawIOBase):
    """What comes to the event loop, as a file for a thread."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._chunks = chunks
        self._loop = loop
        self._rest = memoryview(b"")
        self._next: Future[bytes] | None = None
        self._stopped = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._rest:
            self._next = asyncio.run_coroutine_threadsafe(self._more(), self._loop)
            if self._stopped:
                self._next.cancel()
            try:
                chunk = self._next.result()
            except (Exception, CancelledError) as error:
                raise _BrokenOffError from error
            if not chunk:
                return 0
            self._rest = memoryview(chunk)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def stop(self) -> None:
        """Let the thread end that waits for more."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()

    async def _more(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""


def _load(catalogue: Catalogue, stream: _Stream) -> Stored:
    with landing(catalogue) as folder:
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as archive:
                manifest, blobs = _unpacked(archive, folder)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise malformed(
                f"this is not a whole tar archive ({error}): send what docker model package or "
                "docker model export wrote"
            ) from error
        except _BrokenOffError as error:
            raise malformed("the archive broke off: send it again") from error
        return install(catalogue, blobs, manifest)


def _unpacked(archive: tarfile.TarFile, folder: Path) -> tuple[bytes, dict[str, Path]]:
    manifest, blobs = b"", {}
    for number, entry in enumerate(archive):
        if number >= _MOST_ENTRIES:
            raise malformed(
                f"the archive has more than {_MOST_ENTRIES} entries: it cannot be right"
            )
        # An entry with holes would make much out of little.
        content = archive.extractfile(entry) if entry.isreg() and not entry.issparse() else None
        if content is None:
            continue
        name = posixpath.normpath(entry.name)
        if name == _MANIFEST:
            manifest = content.read(LONGEST)
        elif match := _BLOB.fullmatch(name):
            blobs[f"sha256:{match[1]}"] = _written(content, folder / match[1])
    if not manifest:
        raise malformed("the archive has no manifest.json: it holds no model")
    return manifest, blobs


def _written(content: IO[bytes], path: Path) -> Path:
    sha256 = hashlib.sha256()
    with path.open("wb") as file:
        while block := content.read(_BLOCK):
            sha256.update(block)
            file.write(block)
    if sha256.hexdigest() != path.name:
        raise malformed(f"sha256:{path.name} has the sha256 {sha256.hexdigest()}: package it again")
    return path
