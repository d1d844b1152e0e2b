"""The cache on a volume.

    <root>/sha256-<digits>/       the weights, and a manifest that makes the folder whole
    <root>/<key>                  a link to it; a folder of that kind on volumes that know no links
    <root>/<key>.partial/         the same while it is being filled
    <root>/<key>.lock, .lease     held by the one writer
    <root>/<key>.quarantine/      files that turned out to be damaged, until they are replaced

A folder is filled under another name and renamed, so a reader sees all of it or nothing. In one that
is not whole any more, files are replaced one by one, so a reader sees the good ones all the time.
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.sources import MANIFEST
from modelrunner_protocol.wire import Artifact, Source, WeightsFile
from runnerd.weights import manifest
from runnerd.weights.content import (
    KEY,
    content_names,
    content_of,
    draft_link,
    drop_content,
    users,
)
from runnerd.weights.durable import remove, sync_folder
from runnerd.weights.failure import WeightsError
from runnerd.weights.names import safe_name

_THERE: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})


class Store:
    """The place of one artifact below a volume's root.

    Args:
        root: Where the volume is mounted.
        key: From `modelrunner_protocol.sources.artifact_key`, or the digits of a digest.

    Raises:
        WeightsError: `key` cannot be a folder's name.
    """

    def __init__(self, root: Path, key: str) -> None:
        if not KEY.fullmatch(key):
            raise WeightsError(f"{key[:64]!r} is not the key of an artifact")
        self.root = root
        self.key = key
        self.folder = root / key
        self.partial = root / f"{key}.partial"
        self.discarded = root / f"{key}.discarded"
        self.quarantine = root / f"{key}.quarantine"
        self.lease = root / f"{key}.lease"
        self._lock = root / f"{key}.lock"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to become the only writer on this machine: whether it worked.

        Held until the end of the block; it goes with the process that holds it, however that ends.
        Who writes for longer takes a lease as well: see `lease`.

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

    @property
    def place(self) -> Path:
        """The folder that holds the files, whether by a link or not; it may not be there."""
        name = content_of(self.folder)
        return self.root / name if name else self.folder

    def whole(self) -> Artifact | None:
        """What the folder holds, if all of it is there with the recorded sizes; else None."""
        place = self.place
        # A link that leads out of the volume is none of ours.
        return None if place.is_symlink() else manifest.whole(place, self.key)

    def recorded(self) -> Artifact:
        """What the manifest says that the folder holds, whether it does or not.

        Raises:
            OSError: there is no manifest.
            WireError: it cannot be read.
        """
        return manifest.recorded(self.place, self.key)

    def used(self) -> None:
        """Note that somebody wanted it just now, where the volume can be written."""
        with suppress(OSError, NotImplementedError):
            os.utime(self.folder, follow_symlinks=False)

    def adopt(self, source: Source, artifact: Artifact) -> bool:
        """Take what another source brought to the volume, if these are the same bytes.

        The files keep the names that they have: `whole` tells them.

        Args:
            source: Told in the note.
            artifact: With the sha256 of all files, or it is not found.

        Raises:
            OSError: the volume failed.
        """
        return any(self._adopt(name, source, artifact) for name in content_names(artifact.files))

    def _adopt(self, name: str, source: Source, artifact: Artifact) -> bool:
        held = manifest.whole(self.root / name)
        files = manifest.as_held(artifact.files, held.files) if held else None
        if held is None or files is None:
            return False
        wanted = manifest.renamed(held, artifact, files)
        manifest.write_manifest(manifest.note_path(self.root / name, self.key), source, wanted)
        if not self._point(name) or self.whole() is None:
            # No links here, or somebody has just removed it.
            return False
        self.discard_partial()
        self._tidy()
        return True

    def publish(self, source: Source, artifact: Artifact, *, into: Path | None = None) -> None:
        """Make the partial folder the folder.

        Args:
            source: Told in the manifest, without what may be secret in a URL.
            artifact: Its files are in the partial folder, and on the disk; what else is there
                (the pull's own notes, leftovers) is removed.
            into: The folder that holds the files that are not in the partial one.

        Where the bytes are already, the files keep the names that they have there: `whole` tells
        them.

        Raises:
            OSError: the volume failed; the partial folder is kept.
        """
        self.partial.mkdir(mode=0o775, exist_ok=True)
        files = {file.path for file in artifact.files}
        for entry in list(self.partial.iterdir()):
            if entry.name not in files:
                remove(entry)
        place = into
        if place is not None:
            self._mend(place, source, artifact)
        else:
            manifest.write_manifest(self.partial / MANIFEST, source, artifact)
            sync_folder(self.partial)
            place = self._settle(source, artifact)
        if place != self.folder:
            self._point(place.name)
        self._tidy()

    def _settle(self, source: Source, artifact: Artifact) -> Path:
        """Give the partial folder its last name; what is there and not whole gives way."""
        names = content_names(artifact.files)
        if not names or not self._knows_links():
            self.withdraw()
            self.partial.rename(self.folder)
            sync_folder(self.root)
            return self.folder
        places = [self.root / name for name in names]
        content = next((one for one in places if manifest.whole(one)), places[0])
        try:
            self.partial.rename(content)
        except OSError as error:
            if error.errno not in _THERE:
                raise
            self._mend(content, source, artifact)
        sync_folder(self.root)
        return content

    def _mend(self, place: Path, source: Source, artifact: Artifact) -> None:
        """Put the files of the partial folder into a folder that others may read meanwhile.

        What lies there goes on being called as it is: others' runners look for it by that name.
        """
        held = manifest.whole(place)
        noted = manifest.names_in(place, artifact.files)
        files = noted or artifact.files
        if held is None or not manifest.same_files(held.files, files):
            self._clear(place, files, known=noted is not None)
            for file, there in zip(artifact.files, files, strict=True):
                new, old = self.partial / safe_name(file.path), place / safe_name(there.path)
                if new.exists():
                    if old.is_dir():
                        remove(old)
                    new.rename(old)
            sync_folder(place)
        artifact = replace(artifact, files=files)
        if place == self.folder or manifest.whole(place) is None:
            manifest.write_manifest(place / MANIFEST, source, artifact)
        if manifest.whole(place, self.key) != artifact:
            manifest.write_manifest(manifest.note_path(place, self.key), source, artifact)
        sync_folder(place)
        self.discard_partial()

    def _clear(self, place: Path, files: Sequence[WeightsFile], *, known: bool) -> None:
        """Remove what belongs to no artifact; what begins with a dot are notes.

        Unless the names are `known`, other files may be what another key's runner has them for.
        """
        kept = {MANIFEST, *(file.path for file in files)}
        if not known and place != self.folder and set(users(self.root, place.name)) - {self.key}:
            kept |= {one.name for one in place.iterdir() if one.is_file()}
        for entry in list(place.iterdir()):
            if entry.name not in kept and not entry.name.startswith("."):
                remove(entry)

    def _knows_links(self) -> bool:
        """Whether the volume does; found out before anything is moved."""
        draft = draft_link(self.folder, self.key)
        if draft is not None:
            remove(draft)
        return draft is not None

    def _point(self, name: str) -> bool:
        """Let the key lead to a content; what it led to before goes, if nobody else wants it."""
        draft = draft_link(self.folder, name)
        if draft is None:
            return False
        before = content_of(self.folder)
        if not self.folder.is_symlink():
            # A link is replaced from one moment to the next, a folder cannot be.
            self.withdraw()
        draft.rename(self.folder)
        sync_folder(self.root)
        if before not in {"", name}:
            drop_content(self.root, before)
        return True

    def _tidy(self) -> None:
        self.discard_leftovers()
        remove(self.quarantine)

    def isolate(self, name: str) -> None:
        """Take a damaged file out of the folder, which is not whole then; nothing if it is gone.

        Raises:
            OSError: the volume cannot be written.
        """
        place = self.place
        if not os.path.lexists(place / safe_name(name)):
            return
        self.quarantine.mkdir(mode=0o775, exist_ok=True)
        (place / name).rename(self.quarantine / name)
        sync_folder(place)

    def withdraw(self) -> None:
        """Take the folder out of sight. Only for who holds the lock, as all that removes."""
        if self.folder.is_symlink() or self.folder.exists():
            # Half of it must never look like all of it.
            self.discard_leftovers()
            self.folder.rename(self.discarded)

    def discard_leftovers(self) -> None:
        """Remove what is out of sight; of a link also its content, if nobody else wants it."""
        name = content_of(self.discarded)
        remove(self.discarded)
        if name and not drop_content(self.root, name) and content_of(self.folder) != name:
            for note in (self.root / name).glob(f".{self.key}.*"):
                note.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove everything, the lock included."""
        self.withdraw()
        self._tidy()
        remove(self.partial)
        remove(self.lease)
        self._lock.unlink(missing_ok=True)

    def discard_partial(self) -> None:
        """Forget what has been downloaded so far."""
        remove(self.partial)

    def discard_partial_file(self, name: str) -> None:
        """Forget what has been downloaded of one file; the folder goes with its last file."""
        for path in (self.partial / safe_name(name), state_path(self.partial, name)):
            remove(path)
        with suppress(OSError):
            self.partial.rmdir()

    def disown_partial_file(self, name: str) -> None:
        """Forget a file that has another name elsewhere: writing to it would change that one.

        An import that moved a file and was killed leaves one.
        """
        with suppress(FileNotFoundError):
            if (self.partial / safe_name(name)).lstat().st_nlink > 1:
                (self.partial / name).unlink()


def state_path(folder: Path, name: str) -> Path:
    """Where the partial folder keeps what ties one of its files to a version of the source."""
    return folder / f".{name}.state.json"
