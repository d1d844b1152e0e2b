"""The index on the disk: read by anybody at any time, changed by one at a time.

Whoever changes it holds a lock (of the operating system, gone with its process) and replaces the
file as a whole, so a reader sees the old index or the new one.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from runnerd.standalone.catalogue.index import Entry, Index
from runnerd.weights.durable import sync_folder, write_whole

NAME: Final = "models.json"
VERSION: Final = 1
_LOCK: Final = "models.lock"
_IDENTITY: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST: Final = 64 * 1024 * 1024

Stamp = tuple[int, int, int]
"""Tells one version of the file from another."""


class BrokenIndexError(Exception):
    """The file is there, and is no index of ours; the text says what to do."""


class Draft:
    """An index that is being changed, by whoever holds the lock."""

    def __init__(self, index: Index, write: Callable[[Index], None]) -> None:
        self.index = index
        self._written = index
        self._write = write

    def save(self) -> None:
        """Write it now, if it has changed; what follows must not happen before.

        Raises:
            OSError: it cannot be written; the file is as before.
        """
        if self.index != self._written:
            self._write(self.index)
            self._written = self.index


class IndexFile:
    """The file `models.json` below `root`, which is a folder that is there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.path = root / NAME

    def stamp(self) -> Stamp | None:
        """What changes with the file; None when there is none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> Index:
        """The index; an empty one when there is no file.

        Raises:
            BrokenIndexError: it cannot be read as one.
            OSError: the disk failed.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return Index()
        try:
            return _parse(data)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise BrokenIndexError(
                f"{self.path} is not an index of this server's models ({type(error).__name__}; "
                "Docker Model Runner writes a file of that name, too): let MODELS_PATH be another "
                "folder, or move that file away"
            ) from None

    @contextmanager
    def changing(self) -> Iterator[Draft]:
        """Change the index; it is written at the end of the block, if that does not raise.

        Raises:
            BrokenIndexError: see `read`.
            OSError: it cannot be written; it is as before.
        """
        lock = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft = Draft(self.read(), self._write)
            yield draft
            draft.save()
        finally:
            os.close(lock)

    def _write(self, index: Index) -> None:
        write_whole(self.path, _told(index))
        sync_folder(self._root)


def _told(index: Index) -> dict[str, Any]:
    models = [
        {"id": one.identity, "tags": list(one.tags), "created": one.created}
        for one in index.entries
    ]
    return {"version": VERSION, "models": models}


def _parse(data: bytes) -> Index:
    found = json.loads(data)
    if found["version"] != VERSION:
        raise ValueError("version")
    return Index(tuple(_entry(one) for one in found["models"]))


def _entry(found: Any) -> Entry:
    identity, tags = found["id"], found["tags"]
    if not _IDENTITY.fullmatch(identity) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("text")
    return Entry(identity=identity, tags=tuple(tags), created=float(found["created"]))
