"""Whether what a cache holds is what was pulled into it."""

import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import WireError
from modelrunner_protocol.roles import counterparts
from modelrunner_protocol.sources import MANIFEST
from modelrunner_protocol.wire import Artifact, WeightsFile
from runnerd.weights import manifest
from runnerd.weights.content import KEY, content_names, content_of
from runnerd.weights.failure import WeightsError
from runnerd.weights.names import is_safe, safe_name
from runnerd.weights.store import Store

_BLOCK: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one file of one artifact; `file` is "" for the manifest itself."""

    key: str
    file: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is good in a folder that is not whole.

    Attributes:
        place: The folder.
        held: What it should hold.
        files: All files of the artifact, as its source calls them, with their sha256.
        names: Those of them that are good.
    """

    place: Path
    held: Artifact
    files: tuple[WeightsFile, ...]
    names: frozenset[str]


def stores(root: Path, keys: tuple[str, ...] = ()) -> list[Store]:
    """The artifacts of a cache: the named ones, or all that have a manifest, by name.

    Raises:
        WeightsError: there is no artifact of that name.
        OSError: the cache cannot be read.
    """
    if not root.is_dir():
        raise WeightsError(f"there is no folder {root}: name the cache with --root")
    if not keys:
        # A link that leads to nothing is an artifact that lost its files.
        found = (one for one in root.iterdir() if content_of(one) or (one / MANIFEST).is_file())
        return [Store(root, name) for name in sorted(one.name for one in found) if _is_key(name)]
    named = [Store(root, key) for key in keys]
    for store in named:
        if not (store.folder.is_dir() or content_of(store.folder)):
            raise WeightsError(f"{root} holds no artifact {store.folder.name}")
    return named


def verify(store: Store, on_read: Callable[[int], None] = lambda _: None) -> Iterator[Finding]:
    """Hash every file of an artifact; tells what is wrong as it is found.

    Args:
        store: Its place.
        on_read: Told how many more bytes were read.
    """
    key = store.folder.name
    try:
        artifact = store.recorded()
    except (OSError, WireError) as error:
        yield Finding(key=key, file="", problem=f"its manifest cannot be read: {error}")
        return
    for file in artifact.files:
        if found := problem(store.place, file, on_read):
            yield Finding(key=key, file=file.path, problem=found)


def set_apart(store: Store, found: Sequence[Finding]) -> None:
    """Take damaged files out of the folder. Only for who is the only writer.

    They are hashed once more: another source of the same bytes may have mended them meanwhile.

    Raises:
        OSError: the volume cannot be written.
    """
    damaged = {one.file for one in found if one.file}
    with suppress(WireError, FileNotFoundError):
        for file in store.recorded().files:
            # A name that leads elsewhere is none of a file of ours, whoever wrote it there.
            if file.path in damaged and is_safe(file.path) and problem(store.place, file):
                store.isolate(file.path)


def good_files(store: Store, files: Sequence[WeightsFile]) -> Kept | None:
    """What of an artifact is on the volume already, in a folder that is not whole.

    Args:
        store: Its place.
        files: All files of the artifact, as far as their digests are known.

    Returns:
        None where the folder was something else, or nobody can tell.
    """
    names = content_names(files)
    places = dict.fromkeys([store.place, *(store.root / name for name in names)])
    return next((found for place in places if (found := _kept(place, files))), None)


def digest_of(path: Path, on_read: Callable[[int], None] = lambda _: None) -> str:
    """The sha256 of a file in hex; `on_read` is told how many more bytes were read.

    Raises:
        OSError: it cannot be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            on_read(len(block))
    return found.hexdigest()


def problem(
    folder: Path, file: WeightsFile, on_read: Callable[[int], None] = lambda _: None
) -> str:
    """What is wrong with a file; "" for nothing."""
    try:
        path = folder / safe_name(file.path)
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.size_bytes:
            return f"it is no file of {file.size_bytes} bytes, but has {found.st_size}"
        digest = digest_of(path, on_read) if file.sha256 else ""
    except FileNotFoundError:
        return "it is missing"
    except (OSError, WeightsError) as error:
        return f"it cannot be read: {error}"
    return "" if digest == file.sha256 else f"its sha256 is {digest} instead of {file.sha256}"


def _is_key(name: str) -> bool:
    return KEY.fullmatch(name) is not None


def _kept(place: Path, files: Sequence[WeightsFile]) -> Kept | None:
    if place.is_symlink():
        return None
    try:
        held = manifest.recorded(place)
    except (OSError, WireError):
        return None
    pairs = counterparts(files, held.files)
    if pairs is None:
        return None
    told = [(_told(file, there), there.path) for file, there in pairs]
    if not all(file.sha256 for file, _ in told):
        return None
    good = frozenset(
        file.path for file, name in told if not problem(place, replace(file, path=name))
    )
    named = tuple(file for file, _ in told)
    return Kept(place=place, held=held, files=named, names=good) if good else None


def _told(file: WeightsFile, held: WeightsFile) -> WeightsFile:
    """The file with its sha256; with "" when it is not the one that is held."""
    if held.size_bytes != file.size_bytes:
        return replace(file, sha256="")
    same = file.sha256 == held.sha256 if file.sha256 else file.etag and file.etag == held.etag
    return replace(file, sha256=held.sha256 if same else "")
