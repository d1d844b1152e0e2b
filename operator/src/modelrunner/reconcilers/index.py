"""Which Models share a name or an artifact, without reading each Model anew every time."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from modelrunner.api.v1alpha1.model import ModelSource
from modelrunner.domain.conflicts import Claimant
from modelrunner.domain.effective import wire_source
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    created_at,
    dig,
    name_of,
    number,
    uid_of,
)
from modelrunner_protocol.sources import artifact_key


@dataclass(frozen=True, slots=True)
class Entry:
    """What others need to know of a Model. `key` None: its source cannot be read."""

    claimant: Claimant
    key: str | None
    deleting: bool


class ModelIndex:
    """Entries of the Models of each namespace, read again only when a Model has changed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[tuple[str, int, bool], Entry]]] = {}

    def entries(self, namespace: str, models: Iterable[Object]) -> list[Entry]:
        """The entries of all Models of a namespace; what is not among them is forgotten."""
        known = self._known.get(namespace, {})
        fresh: dict[str, tuple[tuple[str, int, bool], Entry]] = {}
        for model in models:
            name = name_of(model)
            version = (uid_of(model), number(model, "metadata", "generation"), being_deleted(model))
            old = known.get(name)
            fresh[name] = (
                old if old is not None and old[0] == version else (version, entry_of(model))
            )
        self._known[namespace] = fresh
        return [entry for _, entry in fresh.values()]


class ArtifactKeys:
    """`key_of`, computed once for each generation of a Model.

    Every event of a Job, claim or pod asks it of all Models of a namespace.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: OrderedDict[str, tuple[int, str | None]] = OrderedDict()

    def __call__(self, model: Object) -> str | None:
        """The artifact key of a Model, None where its source cannot be read."""
        uid, generation = uid_of(model), number(model, "metadata", "generation")
        known = self._known.get(uid)
        if known is not None and known[0] == generation:
            return known[1]
        key = key_of(model)
        self._known[uid] = generation, key
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return key


def entry_of(model: Object) -> Entry:
    """Read one Model."""
    aliases = dig(model, "spec", "aliases") or ()
    claimant = Claimant(
        name=name_of(model),
        uid=uid_of(model),
        created=created_at(model),
        names=frozenset({name_of(model), *(str(alias) for alias in aliases)}),
    )
    return Entry(claimant, key_of(model), being_deleted(model))


def key_of(model: Object) -> str | None:
    """The artifact key of a Model, None where its source cannot be read."""
    try:
        source = ModelSource.model_validate(dig(model, "spec", "source"))
    except ValidationError:
        return None
    return artifact_key(wire_source(source))
