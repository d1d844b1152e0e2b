"""Removes what interrupted downloads and removals left behind."""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from runnerd.weights.content import content_of, contents, drop_content, users
from runnerd.weights.durable import remove
from runnerd.weights.store import Store

logger = logging.getLogger(__name__)

PATIENCE: Final = 7 * 24 * 3600.0
"""Seconds for which a download that nobody goes on with is kept (as Docker Model Runner does)."""

_OURS: Final = re.compile(
    r"(?P<key>[0-9a-f]{64}|load-[0-9a-f]{32})(?P<kind>|\.partial|\.discarded|\.quarantine|\.lock|\.lease)"
)


def sweep(root: Path, identities: Iterable[str], before: float) -> int:
    """Remove what belongs to no model and was last written before a moment.

    What another process is writing is not touched, and what was half removed goes at once.

    Args:
        root: Where the models are.
        identities: Those that are to stay.
        before: Seconds since the epoch.

    Returns:
        Bytes that became free.
    """
    kept = {one.partition(":")[2] for one in identities}
    found: dict[str, list[Path]] = {}
    with os.scandir(root) as entries:
        for entry in entries:
            if match := _OURS.fullmatch(entry.name):
                found.setdefault(match["key"], []).append(Path(entry.path))
    freed = sum(
        _sweep_one(Store(root, key), paths, key in kept, before) for key, paths in found.items()
    )
    return freed + sum(_sweep_content(root, name, before) for name in contents(root))


def _sweep_content(root: Path, name: str, before: float) -> int:
    """Remove files that no model leads to; young ones may be about to become one."""
    path = root / name
    if users(root, name) or (_touched(path) > before and not name.endswith(".discarded")):
        return 0
    size = _size(path)
    try:
        gone = drop_content(root, name.removesuffix(".discarded"))
        remove(path)
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error.strerror)
        return 0
    return size if gone else 0


def _sweep_one(store: Store, paths: list[Path], kept: bool, before: float) -> int:
    # A lock is made by whoever looks, too: it tells nothing as long as there is something else.
    told = [path for path in paths if path.suffix not in {".lock", ".lease"}] or paths
    if kept:
        told = [path for path in told if path != store.folder]
    old = max(map(_touched, told), default=0.0) <= before
    if not (store.discarded in paths or (old and (not kept or store.partial in paths))):
        return 0
    with store.lock() as mine:
        if not mine:
            return 0
        size = sum(_size(path) for path in paths if path != store.folder or not kept)
        try:
            if old and not kept:
                store.forget()
            elif old:
                store.discard_partial()
            store.discard_leftovers()
        except OSError as error:
            logger.warning("%s cannot be removed: %s", store.folder, error.strerror)
            return 0
    logger.info("removed what was left of %s", store.folder.name)
    return size


def _touched(path: Path) -> float:
    """The newest moment at which something of it was written."""
    return max((one.lstat().st_mtime for one in _all(path)), default=0.0)


def _size(path: Path) -> int:
    return sum(one.lstat().st_size for one in _all(path))


def _all(path: Path) -> list[Path]:
    name = content_of(path)
    # Of a link the files that it alone leads to.
    folder = path.parent / name if name and len(users(path.parent, name)) == 1 else path
    inside = folder.rglob("*") if folder.is_dir() and not folder.is_symlink() else ()
    return [path, *inside]
