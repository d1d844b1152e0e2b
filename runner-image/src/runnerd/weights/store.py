"""The cache on a volume.

    <root>/<key>/manifest.json    what the folder holds; it makes the folder whole
    <root>/<key>/<files>          the weights
    <root>/<key>.partial/         the same while it is being filled
    <root>/<key>.lock             held by the one writer
    <root>/<key>.quarantine/      files that turned out to be damaged, until they are replaced

A folder is filled under another name and renamed, so a reader sees all of it or nothing.
"""

import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.codec import WireError, from_dict, to_dict
from modelrunner_protocol.sources import MANIFEST, describe_url
from modelrunner_protocol.wire import Artifact, HttpSource, Source
from runnerd.weights.failure import WeightsError

MANIFEST_VERSION: Final = 1

_LARGEST_MANIFEST: Final = 4 * 1024 * 1024
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,250}")


class Store:
    """The place of one artifact below a volume's root.

    Args:
        root: Where the volume is mounted.
        key: From `modelrunner_protocol.sources.artifact_key`, or the digits of a digest.

    Raises:
        WeightsError: `key` cannot be a folder's name.
    """

    def __init__(self, root: Path, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise WeightsError(f"{key[:64]!r} is not the key of an artifact")
        self.root = root
        self.folder = root / key
        self.partial = root / f"{key}.partial"
        self.discarded = root / f"{key}.discarded"
        self.quarantine = root / f"{key}.quarantine"
        self._lock = root / f"{key}.lock"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to become the only writer: whether it worked. Held until the end of the block.

        The lock goes with the process that holds it, however that ends.

        Raises:
            OSError: the volume cannot be written.
        """
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o664)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                # Who had it before may have removed the file: then others lock another one.
                yield self._is_lock(handle)
        finally:
            os.close(handle)

    def _is_lock(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self._lock.lstat())
        except FileNotFoundError:
            return False

    def whole(self) -> Artifact | None:
        """What the folder holds, if all of it is there with the recorded sizes; else None."""
        try:
            artifact = _read_manifest(self.folder / MANIFEST)
            for file in artifact.files:
                found = (self.folder / safe_name(file.path)).lstat()
                if not stat.S_ISREG(found.st_mode) or found.st_size != file.size_bytes:
                    return None
        except (OSError, WireError, WeightsError):
            return None
        return artifact

    def publish(self, source: Source, artifact: Artifact) -> None:
        """Make the partial folder the folder.

        Args:
            source: Told in the manifest, without what may be secret in a URL.
            artifact: Its files are in the partial folder, and on the disk; what else is there
                (the pull's own notes, leftovers) is removed.

        Raises:
            OSError: the volume failed; the partial folder is kept.
        """
        files = {file.path for file in artifact.files}
        for entry in list(self.partial.iterdir()):
            if entry.name not in files:
                self._remove(entry)
        write_whole(
            self.partial / MANIFEST,
            {
                "version": MANIFEST_VERSION,
                "source": to_dict(_without_secrets(source)),
                "artifact": to_dict(artifact),
            },
        )
        sync_folder(self.partial)
        # It was not whole, or nobody would have come here.
        self.withdraw()
        self.partial.rename(self.folder)
        sync_folder(self.root)
        self.discard_leftovers()
        self._remove(self.quarantine)

    def recorded(self) -> Artifact:
        """What the manifest says that the folder holds, whether it does or not.

        Raises:
            OSError: there is no manifest.
            WireError: it cannot be read.
        """
        return _read_manifest(self.folder / MANIFEST)

    def isolate(self, name: str) -> None:
        """Take a damaged file out of the folder, which is not whole then.

        Raises:
            OSError: the volume cannot be written.
        """
        self.quarantine.mkdir(mode=0o775, exist_ok=True)
        (self.folder / safe_name(name)).rename(self.quarantine / safe_name(name))
        sync_folder(self.folder)

    def salvage(self, good: Collection[str]) -> None:
        """Make a folder that is not whole the partial folder; its `good` files need not come again.

        Does nothing where a download has begun already, or there is no folder.
        """
        if self.partial.exists() or not self.folder.is_dir() or self.folder.is_symlink():
            return
        for entry in list(self.folder.iterdir()):
            if entry.name not in good:
                self._remove(entry)
        for name in good:
            size = (self.folder / name).lstat().st_size
            write_whole(state_path(self.folder, name), {"validator": "", "size": size})
        self.folder.rename(self.partial)
        sync_folder(self.root)

    def withdraw(self) -> None:
        """Take the folder out of sight. Only for who holds the lock, as all that removes."""
        if self.folder.is_symlink() or self.folder.exists():
            # Half of it must never look like all of it.
            self._remove(self.discarded)
            self.folder.rename(self.discarded)

    def discard_leftovers(self) -> None:
        """Remove what is out of sight."""
        self._remove(self.discarded)

    def forget(self) -> None:
        """Remove everything, the lock included."""
        self.withdraw()
        self.discard_leftovers()
        self._remove(self.partial)
        self._remove(self.quarantine)
        self._lock.unlink(missing_ok=True)

    def discard_partial(self) -> None:
        """Forget what has been downloaded so far."""
        self._remove(self.partial)

    def discard_partial_file(self, name: str) -> None:
        """Forget what has been downloaded of one file; the folder goes with its last file."""
        for path in (self.partial / safe_name(name), state_path(self.partial, name)):
            self._remove(path)
        with suppress(OSError):
            self.partial.rmdir()

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


def safe_name(name: str) -> str:
    """The name of a file in an artifact's folder, which may lead nowhere else.

    Raises:
        WeightsError: it holds a separator, starts with a dot, or is the manifest's.
    """
    if not _NAME.fullmatch(name) or name == MANIFEST:
        raise WeightsError(f"{name[:64]!r} cannot be the name of a weights file")
    return name


def state_path(folder: Path, name: str) -> Path:
    """Where the partial folder keeps what ties one of its files to a version of the source."""
    return folder / f".{name}.state.json"


def write_whole(path: Path, data: dict[str, Any], *, durable: bool = True) -> None:
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


def _read_manifest(path: Path) -> Artifact:
    with path.open("rb") as file:
        text = file.read(_LARGEST_MANIFEST + 1)
    if len(text) > _LARGEST_MANIFEST:
        raise WireError("the manifest is too large")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("the manifest is not JSON") from error
    if not isinstance(data, dict) or data.get("version") != MANIFEST_VERSION:
        raise WireError("the manifest is of another version")
    return from_dict(Artifact, data.get("artifact"), "artifact")


def _without_secrets(source: Source) -> Source:
    if source.http is None:
        return source
    url = describe_url(source.http.url)
    return Source(http=HttpSource(url=url, sha256=source.http.sha256))
