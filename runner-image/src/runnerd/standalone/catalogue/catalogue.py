"""The models below a folder, and their names. See docs/reference/model-store.md."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runnerd.standalone.catalogue.documents import created_in, read_documents
from runnerd.standalone.catalogue.index import Entry, Index
from runnerd.standalone.catalogue.index_file import IndexFile, Stamp
from runnerd.standalone.catalogue.names import InvalidNameError, Names
from runnerd.standalone.catalogue.removal import Step, removal
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.catalogue.sweep import PATIENCE, sweep
from runnerd.weights.store import Store

logger = logging.getLogger(__name__)


class UnknownModelError(LookupError):
    """There is no such model."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The index as it was read last, and the models of it that are whole."""

    stamp: Stamp | None
    index: Index
    models: dict[str, Stored]


class Catalogue:
    """All models below `root`. All methods may be called from any thread, and block on the disk.

    Several processes may work on one folder.

    Args:
        root: Made if it is not there.
        default_registry: What references without a registry mean; "" is the Docker Hub.
        now: Seconds since the epoch.

    Raises:
        BrokenIndexError: the folder holds an index that is not ours.
        OSError: the folder cannot be read.
    """

    def __init__(
        self, root: Path, *, default_registry: str = "", now: Callable[[], float] = time.time
    ) -> None:
        self.root = root
        self.names = Names(default_registry)
        self._now = now
        root.mkdir(parents=True, exist_ok=True)
        self._file = IndexFile(root)
        self._seen = self._read()

    def sweep(self) -> int:
        """Remove what nobody uses any more: see `sweep.sweep`. Bytes that became free.

        A folder that cannot be written is left as it is.
        """
        try:
            # With the index held nothing becomes part of it meanwhile.
            with self._file.changing() as draft:
                kept = {one.identity for one in draft.index.entries}
                return sweep(self.root, kept, self._now() - PATIENCE)
        except OSError as error:
            logger.warning("%s is not swept: %s", self.root, error.strerror)
            return 0

    def models(self) -> list[Stored]:
        """All models, in the order in which they came."""
        return list(self._current().models.values())

    def find(self, name: str, *, loosely: bool = True) -> Stored | None:
        """The model that a name means, in any spelling; None when there is none, or several.

        With `loosely` the last part of a name is enough where only one model has it.
        """
        seen = self._current()
        entry = self.names.find(seen.index, name, loosely=loosely)
        return seen.models.get(entry.identity) if entry else None

    def tag(self, name: str, new: str) -> str:
        """Let another reference lead to a model, too; the tag that it became.

        A model that it led to before stays, without it.

        Raises:
            UnknownModelError: there is no model `name`.
            InvalidNameError: `new` is no reference, or names a digest.
            OSError: the disk failed.
        """
        tag = self.names.tag_of(new)
        if not tag:
            raise InvalidNameError(f"{new[:80]!r} names a digest: write registry/repository:tag")
        with self._file.changing() as draft:
            entry = self.names.find(draft.index, name, loosely=True)
            if entry is None:
                raise unknown(name)
            draft.index = draft.index.tag(entry.identity, tag)
        return tag

    def remove(self, name: str, *, force: bool = False) -> list[Step]:
        """Take a tag away; the model goes with its last one, or when its identity is named.

        Whoever reads its files may go on reading. Nothing is removed on a guess: the last part
        of a name is not enough.

        Raises:
            UnknownModelError: there is no such model.
            SeveralTagsError: `name` is the identity of a model with several tags; use `force`.
            OSError: the disk failed.
        """
        with ExitStack() as held:
            with self._file.changing() as draft:
                entry = self.names.find(draft.index, name, loosely=False)
                if entry is None:
                    raise unknown(name)
                tag = self.names.named_tag(entry, name)
                steps, draft.index = removal(draft.index, entry, tag, force=force)
                # First the list: a crash leaves files without a model, not a model without files.
                draft.save()
                gone = draft.index.get(entry.identity) is None
                store = self._withdrawn(held, entry.identity) if gone else None
            if store is not None:
                store.forget()
        return steps

    def purge(self) -> list[str]:
        """Remove all models, and all that was downloaded in part; their identities."""
        with self._file.changing() as draft:
            gone = [one.identity for one in draft.index.entries]
            draft.index = Index()
            draft.save()
            sweep(self.root, (), math.inf)
        return gone

    def usage(self) -> int:
        """Bytes of all files below the root; one with several names counts once."""
        found = {(one.st_dev, one.st_ino): one.st_size for one in _files(self.root)}
        return sum(found.values())

    def documents(self, stored: Stored) -> tuple[bytes, bytes]:
        """The manifest and the config of a model, byte by byte.

        Raises:
            UnknownModelError: it is gone.
        """
        found = read_documents(stored.folder, stored.identity)
        if found is None:
            raise unknown(stored.identity)
        return found

    def store(self, identity: str) -> Store:
        """The place of a model, whether it is there or not."""
        return Store(self.root, identity.partition(":")[2])

    def admit(self, identity: str, tag: str = "", *, known: bool = False) -> Stored | None:
        """Take a model whose files are there into the index, and let a tag lead to it.

        Args:
            identity: Its manifest's digest.
            tag: "" for none.
            known: Only if it is in the index.

        Returns:
            None when it is not there, or not whole.

        Raises:
            OSError: the disk failed.
        """
        if self._admitted(identity, tag):
            # Nothing is to be written, which may be impossible.
            return self._current().models.get(identity)
        with self._file.changing() as draft:
            if known and draft.index.get(identity) is None:
                return None
            stored = self._whole(Entry(identity=identity))
            if stored is None:
                return None
            tags = (tag,) if tag else ()
            entry = Entry(identity=identity, tags=tags, created=stored.created or self._now())
            draft.index = draft.index.admit(entry)
        return self._current().models.get(identity)

    def _admitted(self, identity: str, tag: str) -> bool:
        entry = self._current().index.get(identity)
        named = entry is not None and (not tag or tag in entry.tags)
        return entry is not None and named and self._whole(entry) is not None

    def _withdrawn(self, held: ExitStack, identity: str) -> Store | None:
        """The place of a model that has just left the index; None while it is being written."""
        store = self.store(identity)
        if not held.enter_context(store.lock()):
            return None
        # While nobody can change the index: what it names is there.
        store.withdraw()
        return store

    def _current(self) -> _Seen:
        seen = self._seen
        if seen.stamp != self._file.stamp():
            seen = self._seen = self._read()
        return seen

    def _read(self) -> _Seen:
        # First the stamp: a change in between is seen the next time.
        stamp = self._file.stamp()
        index = self._file.read()
        models = {}
        for entry in index.entries:
            stored = self._whole(entry)
            if stored is None:
                logger.warning("%s is in the index, and not on the disk: pull it", entry.identity)
            else:
                models[entry.identity] = stored
        return _Seen(stamp, index, models)

    def _whole(self, entry: Entry) -> Stored | None:
        """The model as it is on the disk; with the entry's tags and moment, if that has one."""
        store = self.store(entry.identity)
        artifact = store.whole()
        documents = read_documents(store.folder, entry.identity)
        if artifact is None or documents is None:
            return None
        return Stored(
            identity=entry.identity,
            tags=entry.tags,
            created=entry.created or created_in(documents[1]),
            artifact=artifact,
            folder=store.folder,
        )


def unknown(name: str) -> UnknownModelError:
    """The error for a name that leads to no model."""
    return UnknownModelError(f"there is no model {name[:200]!r} here: list them, or pull it")


def _files(folder: Path) -> Iterator[os.stat_result]:
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(path) / name).lstat()
            except FileNotFoundError:  # removed while we look
                continue
