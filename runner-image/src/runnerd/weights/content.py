"""Folders that are named after what they hold, so that equal bytes lie on a volume once.

    <root>/sha256-<digits>/   the files of one content, and its manifest
    <root>/<key>              a relative link to it, for each source that turned out to be it

A link is put in place, and taken away, by whoever is the only writer of its key. Contents have no
lock: who links looks again afterwards whether the content is still there, and who removes a content
takes it out of sight first, looks again whether nobody links to it, and puts it back if so.
"""

import errno
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from modelrunner_protocol.roles import by_role, names_matter
from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.durable import remove

logger = logging.getLogger(__name__)

KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

_CONTENT: Final = re.compile(r"sha256-[0-9a-f]{64}")
_DISCARDED: Final = ".discarded"
# Some file systems of Windows, of objects and of programs know no links.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def content_name(files: Sequence[WeightsFile]) -> str:
    """The folder's name for files with these bytes; "" while a sha256 is not known.

    What a source calls the files makes no difference, unless they find each other by their names.
    """
    return next(iter(content_names(files)), "")


def content_names(files: Sequence[WeightsFile]) -> tuple[str, ...]:
    """The same, and after it the name that such a folder got when all names were part of it."""
    if not files or not all(file.sha256 for file in files):
        return ()
    before = _name(f"{file.path} {file.sha256.lower()}\n" for file in files)
    if names_matter(files):
        return (before,)
    # No file's name holds a colon.
    roles = by_role(files).items()
    name = _name(f"{kind}:{number} {file.sha256.lower()}\n" for (kind, number), file in roles)
    return name, before


def _name(lines: Iterable[str]) -> str:
    return f"sha256-{sha256(''.join(sorted(lines)).encode()).hexdigest()}"


def content_of(link: Path) -> str:
    """The content that a link leads to; "" when it is no link, or leads elsewhere."""
    try:
        target = link.readlink()
    except OSError:
        return ""
    return str(target) if _CONTENT.fullmatch(str(target)) else ""


def contents(root: Path) -> list[str]:
    """All contents of a volume by name, those that were taken out of sight included."""
    return sorted(
        path.name
        for path in root.iterdir()
        if _CONTENT.fullmatch(path.name.removesuffix(_DISCARDED)) and not path.is_symlink()
    )


def users(root: Path, name: str) -> list[str]:
    """The keys whose links lead to a content, by name."""
    return sorted(key for key in _keys(root) if content_of(root / key) == name)


def draft_link(link: Path, name: str) -> Path | None:
    """A link to a content under another name, to be renamed to `link`.

    Args:
        link: Where it shall be.
        name: Of a content in the same place.

    Returns:
        None where the file system refuses links.

    Raises:
        OSError: the volume cannot be written.
    """
    draft = link.with_name(f".{link.name}.link")
    remove(draft)
    try:
        draft.symlink_to(name)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return None
        raise
    return draft


def drop_content(root: Path, name: str) -> bool:
    """Remove a content that no link leads to; whether it is gone.

    Raises:
        OSError: the volume cannot be written.
    """
    if users(root, name):
        return False
    away = root / f"{name}{_DISCARDED}"
    remove(away)
    try:
        (root / name).rename(away)
    except FileNotFoundError:
        return True
    if users(root, name):
        logger.info("%s is wanted again", name)
        # If somebody has put another one in its place already, this one is not needed.
        with suppress(OSError):
            away.rename(root / name)
            return False
    with suppress(FileNotFoundError):
        remove(away)
    return True


def _keys(root: Path) -> Iterator[str]:
    with os.scandir(root) as entries:
        yield from (one.name for one in entries if KEY.fullmatch(one.name) and one.is_symlink())
