"""Names for what an image is made of: the same inputs, the same key."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_NEVER = {"__pycache__", ".git"}


def digest_of_texts(*parts: str) -> str:
    """A hexadecimal SHA-256 of the parts and of where one ends and the next begins."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def digest_of_files(root: Path, paths: Iterable[str]) -> str:
    """A hexadecimal SHA-256 of files and folders below `root`: names, modes and contents.

    Times of files do not count, so a fresh checkout has the key of an old one.
    """
    parts: list[str] = []
    for file in sorted({f for path in paths for f in _files(root / path)}):
        executable = "x" if file.stat().st_mode & 0o111 else "-"
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        parts.append(f"{file.relative_to(root).as_posix()} {executable} {found}")
    return digest_of_texts(*parts)


def copy_files(root: Path, paths: Iterable[str], target: Path) -> None:
    """Copy what `digest_of_files` reads, so that both speak of the same content."""
    for path in paths:
        for file in _files(root / path):
            copy = target / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for entry in path.iterdir():
        if entry.name not in _NEVER and not entry.name.endswith(".egg-info"):
            yield from _files(entry)
