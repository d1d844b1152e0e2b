"""Models whose names and settings are changed: by server-side apply, never over somebody else's."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final

from modelrunner.domain.objects import Object, text
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.configuration import configuration_of, spec_of
from modelrunner.gateway.management.manifest import MANAGER, aliases_of
from modelrunner.gateway.management.objects import ModelObjects
from modelrunner.gateway.management.ownership import applied, owners_of
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.kube.errors import Conflict
from modelrunner_protocol.configure import Configuration, merge
from modelrunner_protocol.references import key
from modelrunner_protocol.wire import Mode

_TRIES: Final = 5
_LONGEST_ALIAS: Final = 255
_OF_VLLM: Final = ("gpu_memory_utilization", "hf_overrides")


class Changing:
    """Changes Models."""

    def __init__(self, objects: ModelObjects) -> None:
        self._objects = objects

    async def tag(self, entry: ModelEntry, alias: str) -> None:
        """Let a Model go by one more name.

        Raises:
            Refused: 400 for a name that cannot be one, 409 for another Model's; the API server
                says no.
        """
        if not key(alias) or len(alias) > _LONGEST_ALIAS:
            raise Refused(400, "invalid_reference", f"{alias[:80]!r} is no name for a model")
        owner = self._objects.table.find(alias)
        if owner is entry:
            return
        if owner is not None:
            told = f"The name {alias} belongs to the Model {owner.path}: delete it there first"
            raise Refused(409, "name_taken", told)
        await self._apply(entry, lambda live: _tagged(live, alias))

    async def configure(
        self, entry: ModelEntry, configuration: Configuration, mode: Mode | None
    ) -> None:
        """Change how a Model runs. What `configuration` does not say stays as it is.

        What the Model's spec says already is not written: it goes on belonging to its writer.

        Raises:
            Refused: 409 for what belongs to another manager; 400 for what no Model can say; the
                API server says no.
        """
        if any(getattr(configuration, name) is not None for name in _OF_VLLM):
            told = "Models have no settings of vLLM yet: leave gpu-memory-utilization and hf-overrides out"
            raise Refused(400, "unsupported_setting", told, "vllm")
        asked = self._drafted(entry, configuration)
        await self._apply(entry, lambda live: _configured(entry, live, asked, mode))

    async def _apply(self, entry: ModelEntry, wanted: Callable[[Object], dict[str, Any]]) -> None:
        """Apply what `wanted` makes of the Model as it is now, until nobody was faster."""
        for _ in range(_TRIES):
            live = await self._objects.live(entry)
            spec = wanted(live)
            if spec == applied(live, MANAGER):
                return
            with self._objects.told("patch", entry.namespace, entry.name):
                try:
                    await self._objects.apply(live, spec)
                except Conflict as error:
                    if error.fields:
                        raise
                    continue
            return
        told = f"Somebody else changes the Model {entry.path} all the time; try again"
        raise Refused(409, "conflict", told)

    def _drafted(self, entry: ModelEntry, configuration: Configuration) -> Configuration:
        """The same, with a draft model that is a Model of the same namespace."""
        speculative = configuration.speculative
        if speculative is None:
            return configuration
        draft = self._objects.table.find(speculative.draft_model)
        if draft is None or draft.namespace != entry.namespace:
            shown = speculative.draft_model[:200]
            told = f"The draft model `{shown}` is no Model of the namespace {entry.namespace}: pull it first"
            raise Refused(400, "model_not_found", told, "speculative.draft_model")
        return replace(configuration, speculative=replace(speculative, draft_model=draft.name))


def _tagged(live: Object, alias: str) -> dict[str, Any]:
    mine = applied(live, MANAGER)
    if any(key(one) == key(alias) for one in aliases_of(live)):
        return mine
    return mine | {"aliases": [*mine.get("aliases", ()), alias]}


def _configured(
    entry: ModelEntry, live: Object, asked: Configuration, mode: Mode | None
) -> dict[str, Any]:
    mine = applied(live, MANAGER)
    before = configuration_of(live.get("spec") or {})
    own = configuration_of(mine)
    _check(entry, live, own, asked)
    said = replace(
        asked,
        **{
            field.name: None
            for field in fields(asked)
            if getattr(asked, field.name) == getattr(before, field.name)
        },
    )
    now = text(live, "spec", "config", "mode") or str(Mode.COMPLETION)
    own_mode = text(mine, "config", "mode")
    asked_mode = own_mode if mode is None or mode == now else str(mode)
    spec = spec_of(merge(own, said), asked_mode)
    return spec | ({"aliases": mine["aliases"]} if "aliases" in mine else {})


def _check(entry: ModelEntry, live: Object, own: Configuration, asked: Configuration) -> None:
    """Refuse what an apply cannot do: take away a field of others, or set flags beside theirs."""
    named: list[tuple[str, bool]] = [
        ("runtimeFlags", asked.runtime_flags == () and own.runtime_flags is None),
        ("rawRuntimeFlags", asked.runtime_flags is not None),
        ("contextSize", asked.context_size == 0 and own.context_size is None),
    ]
    for field, hindered in named:
        holders = owners_of(live, "config", field)
        if hindered and holders and holders != [MANAGER]:
            told = (
                f"spec.config.{field} of {entry.path} belongs to {', '.join(holders)}: "
                "change it there, or take it out of there, and ask again"
            )
            raise Refused(409, "conflict", told)
