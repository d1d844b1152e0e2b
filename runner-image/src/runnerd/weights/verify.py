"""Whether what a cache holds is what was pulled into it."""

import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelrunner_protocol.codec import WireError
from modelrunner_protocol.sources import MANIFEST
from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import WeightsError
from runnerd.weights.store import Store, safe_name

_BLOCK: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one file of one artifact; `file` is "" for the manifest itself."""

    key: str
    file: str
    problem: str


def stores(root: Path, keys: tuple[str, ...] = ()) -> list[Store]:
    """The artifacts of a cache: the named ones, or all that have a manifest, by name.

    Raises:
        WeightsError: there is no artifact of that name.
        OSError: the cache cannot be read.
    """
    if not root.is_dir():
        raise WeightsError(f"there is no folder {root}: name the cache with --root")
    if not keys:
        found = sorted(path.parent for path in root.glob(f"*/{MANIFEST}"))
        return [Store(root, path.name) for path in found if "." not in path.name]
    named = [Store(root, key) for key in keys]
    for store in named:
        if not store.folder.is_dir():
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
        if problem := _problem(store.folder, file, on_read):
            yield Finding(key=key, file=file.path, problem=problem)


def good_files(store: Store) -> list[str]:
    """The files of an artifact that are what they should be; none where nobody can tell."""
    try:
        artifact = store.recorded()
        return [
            safe_name(file.path)
            for file in artifact.files
            if file.sha256 and not _problem(store.folder, file, lambda _: None)
        ]
    except (OSError, WireError, WeightsError):
        return []


def _problem(folder: Path, file: WeightsFile, on_read: Callable[[int], None]) -> str:
    """What is wrong with a file; "" for nothing."""
    try:
        path = folder / safe_name(file.path)
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.size_bytes:
            return f"it is no file of {file.size_bytes} bytes, but has {found.st_size}"
        digest = _digest(path, on_read) if file.sha256 else ""
    except FileNotFoundError:
        return "it is missing"
    except (OSError, WeightsError) as error:
        return f"it cannot be read: {error}"
    return "" if digest == file.sha256 else f"its sha256 is {digest} instead of {file.sha256}"


def _digest(path: Path, on_read: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            on_read(len(block))
    return found.hexdigest()
