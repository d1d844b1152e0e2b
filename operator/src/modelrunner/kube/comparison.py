"""Whether a stored object already says what a manifest asks for.

The API server fills in defaults, rewrites quantities, leaves out empty values and merges some
lists by key. Comparing with that in mind tells "nothing to do" without a request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrunner.domain.quantities import parse_quantity

# Lists the server merges by key, with the default of a key that may be left out. Every other
# list is one value: it is compared whole and in order.
_Keys = tuple[tuple[str, str | None], ...]
_MERGED: Final[Mapping[str, tuple[_Keys, ...]]] = {
    "conditions": ((("type", None),),),
    "containers": ((("name", None),),),
    "env": ((("name", None),),),
    "ephemeralContainers": ((("name", None),),),
    "hostAliases": ((("ip", None),),),
    "imagePullSecrets": ((("name", None),),),
    "initContainers": ((("name", None),),),
    "ownerReferences": ((("uid", None),),),
    # Of containers and of Services: told apart by the key the entries have.
    "ports": (
        (("containerPort", None), ("protocol", "TCP")),
        (("port", None), ("protocol", "TCP")),
    ),
    "resourceClaims": ((("name", None),),),
    "schedulingGates": ((("name", None),),),
    "topologySpreadConstraints": ((("topologyKey", None), ("whenUnsatisfiable", None)),),
    "volumeDevices": ((("devicePath", None),),),
    "volumeMounts": ((("mountPath", None),),),
    "volumes": ((("name", None),),),
}
_SETS: Final = frozenset({"finalizers"})
_QUANTITIES: Final = frozenset({"divisor", "sizeLimit", "storage"})
_QUANTITY_MAPS: Final = frozenset({"capacity", "limits", "overhead", "requests"})
_INT_OR_STRING: Final = frozenset({"maxSurge", "maxUnavailable", "port", "targetPort"})
# Fields whose absence means something else than false, 0 or "".
_ABSENT_IS_NOT_ZERO: Final = frozenset(
    {
        "activeDeadlineSeconds",
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "backoffLimit",
        "enableServiceLinks",
        "hostUsers",
        "progressDeadlineSeconds",
        "replicas",
        "runAsGroup",
        "runAsUser",
        "storageClassName",
        "terminationGracePeriodSeconds",
        "ttlSecondsAfterFinished",
    }
)


def covers(observed: Any, desired: Any, *, key: str = "", parent: str = "") -> bool:
    """Whether `observed` holds everything `desired` states; more than that is fine.

    `key` is the field both are the value of, `parent` the field around it: they decide how lists
    and amounts are compared. Null in `desired` states nothing.
    """
    if desired is None:
        return True
    if observed is None:
        return _is_zero(desired) and key not in _ABSENT_IS_NOT_ZERO
    if isinstance(desired, Mapping):
        return isinstance(observed, Mapping) and all(
            covers(observed.get(name), value, key=name, parent=key)
            for name, value in desired.items()
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        if not isinstance(observed, Sequence) or isinstance(observed, str):
            return False
        return _covers_list(observed, desired, key)
    return _same_scalar(observed, desired, key, parent)


def _covers_list(observed: Sequence[Any], desired: Sequence[Any], key: str) -> bool:
    if key in _SETS:
        return all(entry in observed for entry in desired)
    keys = _keys_of(key, desired)
    if keys is None:
        return len(observed) == len(desired) and all(
            covers(seen, wanted, parent=key) for seen, wanted in zip(observed, desired, strict=True)
        )
    seen_by_key = {_key_of(entry, keys): entry for entry in observed}
    return all(covers(seen_by_key.get(_key_of(entry, keys)), entry) for entry in desired)


def _keys_of(key: str, entries: Sequence[Any]) -> _Keys | None:
    for keys in _MERGED.get(key, ()):
        first = keys[0][0]
        if all(isinstance(entry, Mapping) and first in entry for entry in entries):
            return keys
    return None


def _key_of(entry: Any, keys: _Keys) -> tuple[str, ...] | None:
    if not isinstance(entry, Mapping):
        return None
    return tuple(str(entry.get(name) or default) for name, default in keys)


def _same_scalar(observed: Any, desired: Any, key: str, parent: str) -> bool:
    if isinstance(observed, bool) or isinstance(desired, bool):
        return observed is desired
    if observed == desired:
        return True
    if key in _QUANTITIES or parent in _QUANTITY_MAPS:
        return _same_amount(observed, desired)
    return key in _INT_OR_STRING and str(observed) == str(desired)


def _same_amount(observed: Any, desired: Any) -> bool:
    try:
        return parse_quantity(str(observed)) == parse_quantity(str(desired))
    except ValueError:
        return False


def _is_zero(value: Any) -> bool:
    """Whether the server may leave this value out when it stores the object."""
    if isinstance(value, Mapping):
        return all(_is_zero(entry) for entry in value.values())
    return value in (None, "", 0, False) or value == []
