"""Reading Kubernetes objects, which are JSON of any shape until looked at."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL

Object = Mapping[str, Any]
"""A Kubernetes object, as the API server sent it."""


def dig(node: Any, *path: str) -> Any:
    """The value below `path`, or None as soon as the way there ends."""
    for key in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def text(node: Any, *path: str) -> str:
    """The string below `path`, or ""."""
    value = dig(node, *path)
    return value if isinstance(value, str) else ""


def number(node: Any, *path: str) -> int:
    """The integer below `path`, or 0: the API server omits zeros."""
    value = dig(node, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def items(node: Any, *path: str) -> list[Object]:
    """The objects in the list below `path`."""
    value = dig(node, *path)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def name_of(obj: Object) -> str:
    """`metadata.name`."""
    return text(obj, "metadata", "name")


def uid_of(obj: Object) -> str:
    """`metadata.uid`."""
    return text(obj, "metadata", "uid")


def label(obj: Object, key: str) -> str:
    """The value of a label, or ""."""
    return text(obj, "metadata", "labels", key)


def annotation(obj: Object, key: str) -> str:
    """The value of an annotation, or ""."""
    return text(obj, "metadata", "annotations", key)


def being_deleted(obj: Object) -> bool:
    """Whether the object is on its way out and only waits for finalizers or its pods."""
    return bool(dig(obj, "metadata", "deletionTimestamp"))


def condition(obj: Object, kind: str) -> Object | None:
    """The status condition of that type."""
    for found in items(obj, "status", "conditions"):
        if found.get("type") == kind:
            return found
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Whether the status condition of that type says "True"."""
    return text(condition(obj, kind) or {}, "status") == "True"


def created_at(obj: Object) -> float:
    """Seconds since the epoch of the object's creation; 0 where it has none yet."""
    return parse_time(text(obj, "metadata", "creationTimestamp")) or 0.0


def controller_uid(obj: Object) -> str:
    """The uid of the object's controller owner, or ""."""
    for owner in items(obj, "metadata", "ownerReferences"):
        if owner.get("controller") is True:
            return text(owner, "uid")
    return ""


def owner_uids(obj: Object) -> frozenset[str]:
    """The uids of all owners."""
    return frozenset(text(owner, "uid") for owner in items(obj, "metadata", "ownerReferences"))


def is_managed(obj: Object, model: str) -> bool:
    """Whether the labels say that the operator made the object for that Model."""
    return label(obj, MANAGED_BY_LABEL) == MANAGED_BY and label(obj, MODEL_LABEL) == model


def parse_time(stamp: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time, or None."""
    try:
        return datetime.fromisoformat(stamp).timestamp() if stamp else None
    except ValueError:
        return None


def format_time(seconds: float) -> str:
    """An RFC 3339 time with whole seconds, as the API server writes it."""
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
