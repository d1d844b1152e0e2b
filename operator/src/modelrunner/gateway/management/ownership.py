"""Which writer a Model's fields belong to, out of `metadata.managedFields`. Pure.

Server-side apply takes away what a manager applied before and now leaves out. So whoever wants
to add something applies it together with what is its own already (`applied`).

Source: Kubernetes' structured-merge-diff: `f:NAME` is a field, `v:JSON` an item of a set.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelrunner.domain.objects import Object, items, text

_FIELD: Final = "f:"
_APPLY: Final = "Apply"


def applied(model: Object, manager: str) -> dict[str, Any]:
    """The parts of `spec.config`, `spec.keepAlive` and `spec.aliases` that `manager` has applied.

    With the values that they have now. Everything else of a spec is never applied here.
    """
    spec = model.get("spec")
    if not isinstance(spec, Mapping):
        return {}
    found: dict[str, Any] = {}
    for entry in items(model, "metadata", "managedFields"):
        if entry.get("manager") == manager and entry.get("operation") == _APPLY:
            owned = _below(entry.get("fieldsV1"), "f:spec")
            found |= _part(owned, spec)
    return found


def owners(model: Object) -> list[str]:
    """The managers that hold anything of the spec, by name."""
    return sorted({name for name, fields in _specs(model) if fields is not None})


def owners_of_alias(model: Object, alias: str) -> list[str]:
    """The managers that hold an alias in the list, by name."""
    return sorted({name for name, fields in _specs(model) if _holds_alias(fields, alias)})


def owners_of(model: Object, *path: str) -> list[str]:
    """The managers that hold the field of the spec at `path`, by name."""
    found = set()
    for name, fields in _specs(model):
        node: Any = fields
        for part in path:
            node = _below(node, _FIELD + part)
        if node is not None:
            found.add(name)
    return sorted(found)


def _specs(model: Object) -> Iterator[tuple[str, Any]]:
    for entry in items(model, "metadata", "managedFields"):
        if not entry.get("subresource"):
            yield text(entry, "manager") or "somebody", _below(entry.get("fieldsV1"), "f:spec")


def _part(owned: Any, spec: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if config := _values(_below(owned, "f:config"), spec.get("config")):
        found["config"] = config
    if _below(owned, "f:keepAlive") is not None and "keepAlive" in spec:
        found["keepAlive"] = spec["keepAlive"]
    aliases = spec.get("aliases")
    mine = [one for one in aliases or () if _holds_alias(owned, one)]
    return found | {"aliases": mine} if mine else found


def _values(owned: Any, value: Any) -> dict[str, Any]:
    """The members of an object that are owned: leaves whole, objects part by part."""
    if not isinstance(owned, Mapping) or not isinstance(value, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name, current in value.items():
        node = owned.get(_FIELD + name)
        if node is None:
            continue
        if isinstance(current, Mapping) and node:
            if inner := _values(node, current):
                found[name] = inner
        else:
            found[name] = current
    return found


def _holds_alias(owned: Any, alias: Any) -> bool:
    listed = _below(owned, "f:aliases")
    return isinstance(listed, Mapping) and f"v:{json.dumps(alias)}" in listed


def _below(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, Mapping) else None
