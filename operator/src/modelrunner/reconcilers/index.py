"""Which Models share a name or an artifact, without reading each Model anew every time."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from modelrunner.api.v1alpha1 import ModelSource
from modelrunner.domain.names import Claimant, Ownership, losses
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    created_at,
    dig,
    name_of,
    number,
    text,
    uid_of,
)
from modelrunner.domain.sources import wire_source
from modelrunner.domain.versions import stored_version
from modelrunner.kube.resources import MODELS
from modelrunner.kube.store import Store
from modelrunner_protocol.sources import artifact_key

_Read = tuple[str, int, tuple[str, str]]
_State = tuple[str, int, tuple[str, str], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """What others need to know of a Model.

    `key` is the version of its source that it wants; both keys are None where its source cannot be
    read.
    """

    name: str
    uid: str
    created: float
    source_key: str | None
    key: str | None
    deleting: bool

    @property
    def age_order(self) -> tuple[float, str]:
        """Sorts the older first; the uid decides within one second."""
        return (self.created, self.uid)


class ModelIndex:
    """Entries of the Models of each namespace, read again only when a Model has changed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[_State, Entry]]] = {}

    def entries(self, namespace: str, models: Iterable[Object]) -> list[Entry]:
        """The entries of all Models of a namespace; what is not among them is forgotten."""
        known = self._known.get(namespace, {})
        fresh: dict[str, tuple[_State, Entry]] = {}
        for model in models:
            name = name_of(model)
            version = (*_read_from(model), being_deleted(model))
            old = known.get(name)
            fresh[name] = (
                old if old is not None and old[0] == version else (version, entry_of(model))
            )
        self._known[namespace] = fresh
        return [entry for _, entry in fresh.values()]


class NameIndex:
    """Which Models want which names, of all namespaces."""

    def __init__(self) -> None:
        self._ownership = Ownership()
        self._known: dict[str, tuple[Object, Claimant]] = {}
        self._revision = 0

    def follow(self, store: Store) -> None:
        """Set it to the Models of a cache. Costs nothing while none of them changes."""
        revision = store.revision(MODELS)
        if revision == self._revision:
            return
        self._revision = revision
        left = set(self._known)
        for model in store.list(MODELS):
            path = f"{text(model, 'metadata', 'namespace')}/{name_of(model)}"
            left.discard(path)
            known = self._known.get(path)
            if known is None or known[0] is not model:
                self.put(model)
        for path in left:
            self._remove(path)

    def put(self, model: Object) -> set[tuple[str, str]]:
        """Take in a Model's names. Who wants one that it has got or given up: (namespace, name)."""
        claimant = claimant_of(model)
        known = self._known.get(claimant.path)
        self._known[claimant.path] = (model, claimant)
        if not self._ownership.add(claimant):
            return set()
        found = self._rivals(claimant)
        return found | self._rivals(known[1]) if known is not None else found

    def drop(self, model: Object) -> set[tuple[str, str]]:
        """Forget a Model that is gone. Who wants one of its names: (namespace, name)."""
        claimant = self._remove(claimant_of(model).path)
        return self._rivals(claimant) if claimant is not None else set()

    def losses(self, model: Object) -> list[tuple[str, Claimant]]:
        """The names of a Model that others have, as written, with those others."""
        return losses(claimant_of(model), self._ownership.owners)

    def _remove(self, path: str) -> Claimant | None:
        known = self._known.pop(path, None)
        if known is None:
            return None
        self._ownership.remove(path)
        return known[1]

    def _rivals(self, claimant: Claimant) -> set[tuple[str, str]]:
        return {(one.namespace, one.name) for one in self._ownership.rivals(claimant)}


class ArtifactKeys:
    """`keys_of`, computed once for each generation and version of a Model.

    Every event of a Job, claim or pod asks it of all Models of a namespace.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: OrderedDict[str, tuple[_Read, Collection[str]]] = OrderedDict()

    def __call__(self, model: Object) -> Collection[str]:
        """The keys of a Model's source and of the version it wants; none: it cannot be read."""
        read_from = _read_from(model)
        known = self._known.get(uid_of(model))
        if known is not None and known[0] == read_from:
            return known[1]
        keys = keys_of(model)
        self._known[uid_of(model)] = read_from, keys
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return keys


def entry_of(model: Object) -> Entry:
    """Read one Model."""
    source_key = key_of(model)
    return Entry(
        name=name_of(model),
        uid=uid_of(model),
        created=created_at(model),
        source_key=source_key,
        key=_wanted(model, source_key),
        deleting=being_deleted(model),
    )


def claimant_of(model: Object) -> Claimant:
    """The names a Model wants."""
    aliases = dig(model, "spec", "aliases")
    return Claimant(
        namespace=text(model, "metadata", "namespace"),
        name=name_of(model),
        uid=uid_of(model),
        created=text(model, "metadata", "creationTimestamp"),
        aliases=tuple(map(str, aliases)) if isinstance(aliases, list) else (),
    )


def keys_of(model: Object) -> Collection[str]:
    """The keys of a Model's source and of the version it wants; none: it cannot be read."""
    source_key = key_of(model)
    return frozenset(key for key in (source_key, _wanted(model, source_key)) if key is not None)


def _wanted(model: Object, source_key: str | None) -> str | None:
    return (stored_version(model, source_key) if source_key else None) or source_key


def _read_from(model: Object) -> _Read:
    """What the keys of a Model are read from: another value, and they are read again."""
    stored = text(model, "status", "source", "sourceKey"), text(model, "status", "source", "key")
    return (uid_of(model), number(model, "metadata", "generation"), stored)


def key_of(model: Object) -> str | None:
    """The key of a Model's source, None where it cannot be read."""
    try:
        source = ModelSource.model_validate(dig(model, "spec", "source"))
    except ValidationError:
        return None
    return artifact_key(wire_source(source))
