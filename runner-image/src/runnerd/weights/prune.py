"""What of a shared cache nobody wants any more."""

import asyncio
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from modelrunner_protocol.sources import MANIFEST, describe
from runnerd.weights import manifest
from runnerd.weights.clock import Clock
from runnerd.weights.content import KEY, content_of, contents, drop_content, users
from runnerd.weights.durable import remove
from runnerd.weights.failure import WeightsError
from runnerd.weights.lease import only_writer
from runnerd.weights.store import Store

_LEFT: Final = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9-]{0,63})\.(?P<kind>partial|discarded|quarantine)"
)
_INDEX: Final = "models.json"
_DISCARDED: Final = ".discarded"


class Kind(StrEnum):
    """What can be removed."""

    ARTIFACT = "artifact"
    PARTIAL = "partial"
    DISCARDED = "discarded"
    QUARANTINE = "quarantine"
    CONTENT = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that can be removed.

    Attributes:
        name: Of the key; of a content that no key leads to its own.
        kind: What it is.
        size: Bytes that become free.
        idle: Seconds since it was pulled, imported, or found there by a pull or a verify.
        source: In words, "" where nobody can tell.
    """

    name: str
    kind: Kind
    size: int
    idle: float
    source: str = ""


def leftovers(
    root: Path, *, keep: Collection[str], unused_for: float, now: float
) -> list[Leftover]:
    """What can be removed, by name.

    That runners read an artifact leaves no trace on a volume that they mount read-only: what Models
    use has to be named.

    Args:
        root: Where the volume is mounted.
        keep: Keys that stay, whatever else.
        unused_for: Seconds for which nobody must have wanted it. What was half removed goes at once.
        now: Seconds since the epoch.

    Raises:
        WeightsError: it is no cache of a Model's, or there is none.
        OSError: the volume cannot be read.
    """
    if not root.is_dir():
        raise WeightsError(f"there is no folder {root}: name the cache with --root")
    if (root / _INDEX).exists():
        raise WeightsError(
            f"{root} is the store of runnerd serve: remove its models by their names"
        )
    before = now - unused_for
    gone: set[str] = set()
    found = []
    for path in sorted(root.iterdir()):
        if KEY.fullmatch(path.name) and _is_artifact(path) and path.name not in keep:
            touched = _wanted_at(path)
            if touched <= before:
                gone.add(path.name)
                found.append(_artifact(path, gone, now - touched))
        elif match := _LEFT.fullmatch(path.name):
            kind, touched = Kind(match["kind"]), _touched(path)
            kept = match["key"] in keep and kind is Kind.PARTIAL
            if kind is Kind.DISCARDED or (touched <= before and not kept):
                size, idle = _size(path), now - touched
                found.append(Leftover(name=match["key"], kind=kind, size=size, idle=idle))
    for name in contents(root):
        touched = _touched(root / name)
        if not users(root, name) and (touched <= before or name.endswith(_DISCARDED)):
            size = _size(root / name)
            found.append(
                Leftover(name=name, kind=Kind.CONTENT, size=size, idle=max(0.0, now - touched))
            )
    return found


async def prune(root: Path, one: Leftover, clock: Clock, *, unused_for: float, now: float) -> None:
    """Remove it, unless somebody has wanted it since.

    Raises:
        BusyError: somebody writes it.
        OSError: the volume cannot be written.
    """
    if one.kind is Kind.CONTENT:
        drop_content(root, one.name.removesuffix(_DISCARDED))
        if one.name.endswith(_DISCARDED):
            remove(root / one.name)
        return
    store = Store(root, one.name)
    async with only_writer(store, clock, wait=False):
        if one.kind is not Kind.ARTIFACT or _wanted_at(store.folder) <= now - unused_for:
            # Large folders take their time, and the lease has to be renewed meanwhile.
            await asyncio.to_thread(_WORK[one.kind], store)
    # Nobody wrote it, and a lock is made by whoever looks.
    if not (store.folder.exists() or store.partial.exists()):
        with store.lock() as mine:
            if mine and not store.lease.exists():
                store.forget()


_WORK: Final[dict[Kind, Callable[[Store], None]]] = {
    Kind.ARTIFACT: Store.forget,
    Kind.PARTIAL: Store.discard_partial,
    Kind.DISCARDED: Store.discard_leftovers,
    Kind.QUARANTINE: lambda store: remove(store.quarantine),
}


def _artifact(path: Path, gone: set[str], idle: float) -> Leftover:
    name = content_of(path)
    place = path.parent / name if name else path
    # Shared files become free with the last of their keys.
    shared = name and not gone.issuperset(users(path.parent, name))
    return Leftover(
        name=path.name,
        kind=Kind.ARTIFACT,
        size=0 if shared else _size(place),
        idle=idle,
        source=describe(manifest.source_of(place, path.name)),
    )


def _is_artifact(path: Path) -> bool:
    return bool(content_of(path)) or (not path.is_symlink() and (path / MANIFEST).is_file())


def _wanted_at(folder: Path) -> float:
    """When somebody last wanted an artifact: found it there, or began to pull it again."""
    partial = folder.with_name(f"{folder.name}.partial")
    return max(folder.lstat().st_mtime, _touched(partial) if partial.is_dir() else 0.0)


def _touched(path: Path) -> float:
    """The newest moment at which something of it was written."""
    return max((one.lstat().st_mtime for one in _all(path)), default=0.0)


def _size(path: Path) -> int:
    return sum(one.lstat().st_size for one in _all(path) if not one.is_dir())


def _all(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from path.rglob("*")
