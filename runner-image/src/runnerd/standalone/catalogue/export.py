"""Writes a model as the tar archive that `load` reads, and `docker model load` as well."""

import asyncio
import tarfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Final

from runnerd.weights.oci.package import Package, contents

_BLOCK: Final = 1024 * 1024


async def export(package: Package) -> AsyncGenerator[bytes, None]:
    """The archive in pieces, from `package.package_of`.

    Raises:
        OSError: a file cannot be read.
    """
    pieces = _pieces(package)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def size_of(package: Package) -> int:
    """Bytes of the archive."""
    sizes = [size for _, size, _ in _entries(package)]
    return sum(tarfile.BLOCKSIZE + size + _padding(size) for size in sizes) + _END


_END: Final = 2 * tarfile.BLOCKSIZE


def _entries(package: Package) -> Iterator[tuple[str, int, Path | bytes]]:
    seen = set()
    for digest, size, source in contents(package):
        if digest not in seen:
            seen.add(digest)
            yield f"blobs/{digest.replace(':', '/')}", size, source
    yield "manifest.json", len(package.manifest), package.manifest


def _pieces(package: Package) -> Iterator[bytes]:
    for name, size, source in _entries(package):
        header = tarfile.TarInfo(name)
        header.size = size
        yield header.tobuf(tarfile.GNU_FORMAT)
        if isinstance(source, bytes):
            yield source
        else:
            yield from _blocks(source)
        yield bytes(_padding(size))
    yield bytes(_END)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE
