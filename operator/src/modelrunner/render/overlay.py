"""Laying a user's podTemplate over the operator's own, last of all.

Objects merge field by field; null removes a field. Lists merge by what names their items:

| list | items of the same | are |
|---|---|---|
| containers, initContainers | name | merged |
| volumes, env, imagePullSecrets, resourceClaims | name | replaced |
| volumeMounts | mountPath | replaced |
| volumeDevices | devicePath | replaced |
| ports | name, else containerPort | replaced |
| hostAliases | ip | replaced |
| tolerations, topologySpreadConstraints, envFrom | (no name) | appended |

New items are added behind the operator's. Every other list (command, args, …) is replaced as a
whole. Replaced and not merged: an `env` item that had `value` and gets `valueFrom` would else
have both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_MERGED: Final = {"containers": ("name",), "initContainers": ("name",)}
_REPLACED: Final = {
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("name", "containerPort"),
    "hostAliases": ("ip",),
}
_APPENDED: Final = frozenset({"tolerations", "topologySpreadConstraints", "envFrom"})


def lay_over(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overlay` on top; neither is changed."""
    found = dict(base)
    for key, value in overlay.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merge(key, found.get(key), value)
    return found


def _merge(key: str, base: Any, overlay: Any) -> Any:
    if isinstance(overlay, Mapping):
        return lay_over(base if isinstance(base, Mapping) else {}, overlay)
    if isinstance(overlay, list):
        base = base if isinstance(base, list) else []
        if key in _APPENDED:
            return [*base, *(item for item in overlay if item not in base)]
        if key in _MERGED:
            return _merge_items(base, overlay, _MERGED[key], deep=True)
        if key in _REPLACED:
            return _merge_items(base, overlay, _REPLACED[key], deep=False)
    return overlay


def _merge_items(
    base: Sequence[Any], overlay: Sequence[Any], names: Sequence[str], *, deep: bool
) -> list[Any]:
    found = list(base)
    for item in overlay:
        place = next((i for i, old in enumerate(found) if _same(old, item, names)), None)
        if place is not None:
            found[place] = lay_over(found[place] if deep else {}, item)
            continue
        new = lay_over({}, item) if isinstance(item, Mapping) else item
        if new not in found:
            found.append(new)
    return found


def _same(one: Any, other: Any, names: Sequence[str]) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    return any(name in one and one.get(name) == other.get(name) for name in names)
