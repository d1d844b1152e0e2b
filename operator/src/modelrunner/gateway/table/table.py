"""Names → models → endpoints. No I/O: the feed puts in what the API server says.

Everything happens in one event loop and without waiting, so a reader always sees a whole state.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from modelrunner.domain.names import Ownership, owner_of
from modelrunner.domain.objects import Object, uid_of
from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table import models, slices
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.slices import Member, Slice, State

_log = logging.getLogger(__name__)

_SEEN_LIMIT: Final = 4096
"""Spellings of known names that are kept; unknown names are never kept."""

_Place = tuple[str, str]
_Identity = tuple[str, str, int]


class RouteTable:
    """All models of the watched namespaces. Objects of wrong shapes are left out, not raised."""

    def __init__(self) -> None:
        self._entries: dict[_Place, ModelEntry] = {}
        self._names = Ownership()
        self._seen: dict[str, ModelEntry] = {}
        self._slices: dict[_Place, Slice] = {}
        self._slices_of: dict[_Place, set[_Place]] = {}
        self._endpoints: dict[_Place, dict[_Identity, Endpoint]] = {}
        self._subscribers: list[Callable[[ModelEntry], None]] = []

    def find(self, name: str) -> ModelEntry | None:
        """Who answers to a name as a client wrote it."""
        found = self._seen.get(name)
        return found if found is not None else self._look_up(name)

    def models(self) -> list[ModelEntry]:
        """All models, ordered by namespace and name."""
        return [entry for _, entry in sorted(self._entries.items())]

    def subscribe(self, callback: Callable[[ModelEntry], None]) -> Callable[[], None]:
        """Call `callback` after every change of an entry, its end included; returns the undoing.

        It is called when the table is whole again, so it may read the table.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def put_model(self, item: Object) -> None:
        """A Model is new or has changed."""
        self._tell(self._put_model(item))

    def drop_model(self, item: Object) -> None:
        """A Model is gone."""
        place = models.place_of(item)
        entry = self._entries.get(place) if place is not None else None
        if entry is not None and uid_of(item) in {"", entry.uid}:
            self._tell(self._drop_entry(entry))

    def replace_models(self, items: Iterable[Object], namespace: str | None = None) -> None:
        """These are all Models there are in `namespace` (None: in all)."""
        listed = {place: item for item in items if (place := models.place_of(item)) is not None}
        missing = [
            entry
            for place, entry in self._entries.items()
            if place not in listed and namespace in {None, place[0]}
        ]
        changed = [told for entry in missing for told in self._drop_entry(entry)]
        for item in listed.values():
            changed += self._put_model(item)
        self._tell(changed)

    def put_slice(self, item: Object) -> None:
        """An EndpointSlice is new or has changed."""
        self._tell(self._refresh(self._put_slice(slices.place_of(item), slices.read_slice(item))))

    def drop_slice(self, item: Object) -> None:
        """An EndpointSlice is gone."""
        self._tell(self._refresh(self._put_slice(slices.place_of(item), None)))

    def replace_slices(self, items: Iterable[Object], namespace: str | None = None) -> None:
        """These are all EndpointSlices there are in `namespace` (None: in all)."""
        listed = {slices.place_of(item): slices.read_slice(item) for item in items}
        for place in self._slices:
            if namespace in {None, place[0]}:
                listed.setdefault(place, None)
        touched: set[_Place] = set()
        for place, found in listed.items():
            touched |= self._put_slice(place, found)
        self._tell(self._refresh(touched))

    def _look_up(self, name: str) -> ModelEntry | None:
        owner = owner_of(name, self._names.owners)
        if owner is None:
            return None
        if len(self._seen) >= _SEEN_LIMIT:
            # One name has endless spellings: whoever sends them all gets no memory for it.
            self._seen.clear()
        found = self._seen[name] = self._entries[owner.namespace, owner.name]
        return found

    def _put_model(self, item: Object) -> list[ModelEntry]:
        place = models.place_of(item)
        if place is None:
            return []
        changed: list[ModelEntry] = []
        entry = self._entries.get(place)
        if entry is not None and entry.uid != uid_of(item):
            changed = self._drop_entry(entry)
            entry = None
        if entry is None:
            entry = self._entries[place] = ModelEntry(*place, uid_of(item))
            self._set_endpoints(entry)
        elif entry.version and entry.version == models.version_of(item):
            return changed
        models.read_model(item, entry)
        if self._names.add(models.claimant_of(entry)):
            self._seen.clear()
        return [*changed, entry]

    def _drop_entry(self, entry: ModelEntry) -> list[ModelEntry]:
        place = entry.namespace, entry.name
        del self._entries[place]
        self._names.remove(entry.path)
        self._seen.clear()
        entry.gone = True
        entry.ready, entry.starting = [], []
        for endpoint in self._endpoints.pop(place, {}).values():
            endpoint.retired = True
        return [entry]

    def _put_slice(self, place: _Place, found: Slice | None) -> set[_Place]:
        """Remember a slice; returns the models whose endpoints may have changed."""
        old = self._slices.pop(place, None)
        if found is not None:
            self._slices[place] = found
        if old == found:
            return set()
        if old is not None:
            self._slices_of[old.model].discard(place)
            if not self._slices_of[old.model]:
                del self._slices_of[old.model]
        if found is not None:
            self._slices_of.setdefault(found.model, set()).add(place)
        return {one.model for one in (old, found) if one is not None}

    def _refresh(self, places: Iterable[_Place]) -> list[ModelEntry]:
        entries = [self._entries[place] for place in sorted(places) if place in self._entries]
        return [entry for entry in entries if self._set_endpoints(entry)]

    def _set_endpoints(self, entry: ModelEntry) -> bool:
        """Bring the endpoints up to date with the slices; whether anything has changed."""
        place = entry.namespace, entry.name
        members = slices.merged(self._slices[one] for one in self._slices_of.get(place, ()))
        before = self._endpoints.get(place, {})
        after = {member.identity: _endpoint(member, before) for member in members}
        for identity, endpoint in before.items():
            if identity not in after:
                endpoint.retired = True
        if after:
            self._endpoints[place] = after
        else:
            self._endpoints.pop(place, None)
        ready = [after[one.identity] for one in members if one.state is State.READY]
        starting = [after[one.identity] for one in members if one.state is State.STARTING]
        if (ready, starting) == (entry.ready, entry.starting):
            return False
        entry.ready, entry.starting = ready, starting
        return True

    def _tell(self, changed: Iterable[ModelEntry]) -> None:
        for entry in changed:
            for callback in tuple(self._subscribers):
                try:
                    callback(entry)
                except Exception:  # noqa: BLE001 - one reader's fault must not cost the others the change
                    _log.exception("a change of %s was not taken in", entry.path)


def _endpoint(member: Member, known: dict[_Identity, Endpoint]) -> Endpoint:
    found = known.get(member.identity)
    return found or Endpoint(member.name, (member.host, member.port))
