"""Models and their names that are taken away."""

from typing import Final

from modelrunner.domain.objects import Object, being_deleted, name_of, text
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import May
from modelrunner.gateway.management.manifest import (
    MANAGER,
    aliases_of,
    made_here,
    other_names,
    removable,
)
from modelrunner.gateway.management.objects import ModelObjects
from modelrunner.gateway.management.ownership import owners, owners_of_alias
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.kube.errors import Invalid
from modelrunner_protocol.references import normalize

UNTAGGED: Final = "Untagged"
DELETED: Final = "Deleted"

_TRIES: Final = 5


class Removing:
    """Removes Models, and aliases of theirs."""

    def __init__(self, objects: ModelObjects) -> None:
        self._objects = objects

    async def remove(self, entry: ModelEntry, name: str, *, force: bool) -> list[tuple[str, str]]:
        """Take away what `name` means: an alias, or the whole Model. What was done, in order.

        Raises:
            Refused: 409 for a Model that the API has not made and for one that has other names,
                both unless `force`; 404 when it is gone; the API server says no.
        """
        live = await self._objects.live(entry)
        if alias := removable(live, name):
            await self._untag(entry, alias, force=force)
            return [(UNTAGGED, alias)]
        if not force:
            _check(live)
        await self._objects.delete(live)
        tags = aliases_of(live) or [normalize(name_of(live))]
        return [*((UNTAGGED, tag) for tag in tags), (DELETED, entry.identity)]

    async def purge(self, may: May) -> int:
        """Delete every Model that the API has made and that `may` names; how many."""
        found = [
            model
            for model in await self._objects.own()
            if may(text(model, "metadata", "namespace"), name_of(model))
            and not being_deleted(model)
        ]
        for model in found:
            await self._objects.delete(model)
        return len(found)

    async def _untag(self, entry: ModelEntry, alias: str, *, force: bool) -> None:
        for _ in range(_TRIES):
            live = await self._objects.live(entry)
            left = [one for one in aliases_of(live) if one != alias]
            if len(left) == len(aliases_of(live)):
                return
            others = [one for one in owners_of_alias(live, alias) if one != MANAGER]
            if others and not force:
                told = f"The alias {alias} of {entry.path} belongs to {', '.join(others)}: take it out there"
                raise Refused(409, "conflict", told)
            operation = {"op": "replace", "path": "/spec/aliases", "value": left}
            with self._objects.told("patch", entry.namespace, entry.name):
                try:
                    await self._objects.patch(live, [operation])
                except Invalid:
                    continue
            return
        told = f"Somebody else changes the Model {entry.path} all the time; try again"
        raise Refused(409, "conflict", told)


def _check(model: Object) -> None:
    path = f"{text(model, 'metadata', 'namespace')}/{name_of(model)}"
    if not made_here(model):
        by = ", ".join(owners(model)) or "somebody else"
        told = (
            f"The Model {path} was not made through this API but by {by}: delete it there, "
            "or say force=true"
        )
        raise Refused(409, "not_made_here", told)
    if others := other_names(model):
        told = f"The Model {path} has other names, too: {', '.join(others)}. Delete these first, or say force=true"
        raise Refused(409, "has_other_names", told)
