"""Small readings of raw Kubernetes objects, which are JSON as the server sent it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

KubeObject: TypeAlias = dict[str, Any]
"""An object as decoded JSON. Objects that come out of the Store or a list are never changed."""


def metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object's metadata; empty when it has none."""
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def name_of(item: Mapping[str, Any]) -> str:
    """metadata.name, or an empty string."""
    return str(metadata(item).get("name") or "")


def namespace_of(item: Mapping[str, Any]) -> str:
    """metadata.namespace; empty for cluster-scoped objects."""
    return str(metadata(item).get("namespace") or "")


def uid_of(item: Mapping[str, Any]) -> str:
    """metadata.uid, or an empty string."""
    return str(metadata(item).get("uid") or "")


def labels_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """metadata.labels; empty when there are none."""
    return metadata(item).get("labels") or {}


def version_of(item: Mapping[str, Any]) -> int | None:
    """metadata.resourceVersion as a number that orders objects of one resource.

    Kubernetes promises the order since 1.35 (and etcd has always given it); None when a server
    uses something else, and then nothing is concluded from it.
    """
    return version_number(metadata(item).get("resourceVersion"))


def version_number(value: Any) -> int | None:
    """A resourceVersion as a number, None when it is not one."""
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() else None


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns `old` into `new`; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
