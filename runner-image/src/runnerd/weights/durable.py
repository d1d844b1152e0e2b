"""Writes that a crash, and a power cut, leave whole or undone."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write JSON so that a crash leaves the old file or the new one; see `write_file`."""
    write_file(path, json.dumps(data, indent=1).encode(), durable=durable)


def write_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a crash leaves the old one or the new one.

    Without `durable` only a crash of this process does, not one of the machine.
    """
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    draft.rename(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, a link (not where it leads to) or a whole folder; nothing if it is gone.

    Raises:
        OSError: the volume cannot be written.
    """
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path)
