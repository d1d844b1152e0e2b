"""What the operator last saw: a cache of watched objects, indexed by our labels.

A cache is a hint. Events arrive late, twice, or (a deletion while the watch was broken) never;
a resync sets that right, and "gone" is decided by asking the server.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from modelrunner.domain.naming import GROUP
from modelrunner.kube.objects import (
    KubeObject,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
    version_number,
    version_of,
)
from modelrunner.kube.resources import Resource

_INDEXED: Final = f"{GROUP}/"
_TOMBSTONES: Final = 10_000

_Key = tuple[Resource, str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the cache and the truth. `old` None: new. `new` None: gone."""

    resource: Resource
    namespace: str
    name: str
    old: KubeObject | None
    new: KubeObject | None


class Store:
    """Objects by (resource, namespace, name). Readers never change what they are given.

    Belongs to one event loop. An older state never replaces a newer one, whatever the order in
    which a watch, a resync and the answers to our own writes come in.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[Resource, str], dict[str, KubeObject]] = {}
        self._labels: dict[tuple[Resource, str, str, str], set[str]] = {}
        self._dropped: dict[_Key, int] = {}
        self._revisions: dict[Resource, int] = {}

    def put(self, resource: Resource, item: KubeObject) -> bool:
        """Keep a newer state of an object; False when it is older than what is known.

        managedFields are left out: they are a third of the size and nobody here reads them.
        """
        namespace, name = namespace_of(item), name_of(item)
        version = version_of(item)
        if version is not None and version <= self._dropped.get((resource, namespace, name), -1):
            return False
        old = self.get(resource, namespace, name)
        if old is not None and _older(item, old):
            return False
        self._dropped.pop((resource, namespace, name), None)
        self._forget(resource, namespace, name)
        item = _trimmed(item)
        self._revisions[resource] = self.revision(resource) + 1
        self._items.setdefault((resource, namespace), {})[name] = item
        for label, value in _indexed(item):
            self._labels.setdefault((resource, namespace, label, value), set()).add(name)
        return True

    def drop(self, resource: Resource, item: KubeObject) -> bool:
        """Forget a deleted object; False when a newer one of that name is known."""
        namespace, name = namespace_of(item), name_of(item)
        old = self.get(resource, namespace, name)
        if old is not None and uid_of(old) != uid_of(item) and _older(item, old):
            return False
        version = version_of(item)
        if version is not None:
            self._bury((resource, namespace, name), version)
        self._forget(resource, namespace, name)
        return True

    def revision(self, resource: Resource) -> int:
        """A number that is another one after every change of any object of the resource."""
        return self._revisions.get(resource, 0)

    def get(self, resource: Resource, namespace: str, name: str) -> KubeObject | None:
        """The object as last seen, or None."""
        return self._items.get((resource, namespace), {}).get(name)

    def by_label(
        self, resource: Resource, namespace: str, label: str, value: str
    ) -> list[KubeObject]:
        """Known objects of a namespace that carry `label: value`, ordered by name.

        Labels of our group (`modelrunner.dev/…`) are looked up in an index, others by a scan.
        """
        items = self._items.get((resource, namespace), {})
        if label.startswith(_INDEXED):
            names = self._labels.get((resource, namespace, label, value), set())
            return [items[name] for name in sorted(names)]
        return [item for _, item in sorted(items.items()) if labels_of(item).get(label) == value]

    def replace(
        self,
        resource: Resource,
        items: Iterable[KubeObject],
        *,
        namespace: str | None = None,
        version: str = "",
    ) -> list[Change]:
        """Set the cache to a listed state and tell the differences, deletions included.

        `namespace`: the list spans only this one (None: all). `version`: the list's own
        resourceVersion; what a watch told since then is kept.
        """
        listed_at = version_number(version)
        changes: list[Change] = []
        seen: set[tuple[str, str]] = set()
        for item in items:
            place = namespace_of(item), name_of(item)
            seen.add(place)
            old = self.get(resource, *place)
            if not self.put(resource, item):
                continue
            new = self.get(resource, *place)
            if old is None or _version(old) != _version(item):
                changes.append(Change(resource, *place, old, new))
        for old in self.list(resource, namespace):
            place = namespace_of(old), name_of(old)
            known_at = version_of(old)
            newer = listed_at is not None and known_at is not None and known_at > listed_at
            if place not in seen and not newer:
                if listed_at is not None:
                    self._bury((resource, *place), listed_at)
                self._forget(resource, *place)
                changes.append(Change(resource, *place, old, None))
        return changes

    def _forget(self, resource: Resource, namespace: str, name: str) -> None:
        items = self._items.get((resource, namespace))
        old = items.pop(name, None) if items is not None else None
        if old is None:
            return
        self._revisions[resource] = self.revision(resource) + 1
        if not items:
            del self._items[resource, namespace]
        for label, value in _indexed(old):
            index = resource, namespace, label, value
            self._labels[index].discard(name)
            if not self._labels[index]:
                del self._labels[index]

    def _bury(self, key: _Key, version: int) -> None:
        """Remember when an object went, so that a late, older state does not raise it again."""
        self._dropped.pop(key, None)
        self._dropped[key] = version
        if len(self._dropped) > _TOMBSTONES:
            del self._dropped[next(iter(self._dropped))]

    def list(self, resource: Resource, namespace: str | None = None) -> list[KubeObject]:
        """All known objects of a namespace (None: of all), in no order."""
        if namespace is not None:
            return [*self._items.get((resource, namespace), {}).values()]
        return [
            item
            for (kind, _), items in self._items.items()
            if kind == resource
            for item in items.values()
        ]


def _older(item: KubeObject, known: KubeObject) -> bool:
    mine, theirs = version_of(item), version_of(known)
    return mine is not None and theirs is not None and mine < theirs


def _version(item: KubeObject) -> object:
    return metadata(item).get("resourceVersion")


def _indexed(item: KubeObject) -> list[tuple[str, str]]:
    return [pair for pair in labels_of(item).items() if pair[0].startswith(_INDEXED)]


def _trimmed(item: KubeObject) -> KubeObject:
    found = item.get("metadata")
    if not isinstance(found, dict) or "managedFields" not in found:
        return item
    kept = {key: value for key, value in found.items() if key != "managedFields"}
    return {**item, "metadata": kept}
