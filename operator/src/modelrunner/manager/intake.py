"""From events and resyncs to dirty keys: cache first, then whoever is concerned."""

import asyncio
from collections.abc import Callable
from typing import Final

from modelrunner.kube.objects import KubeObject, metadata, name_of, namespace_of
from modelrunner.kube.resources import Resource
from modelrunner.kube.store import Change, Store
from modelrunner.manager.keys import Key
from modelrunner.manager.mapping import KeyMapper

_STRIKES: Final = 2


class Intake:
    """The one door through which states of objects come in.

    `add` marks a key dirty; `relisted` is called when a watch had to list again, which is when
    deletions get lost.
    """

    def __init__(
        self,
        store: Store,
        mapper: KeyMapper,
        *,
        add: Callable[[Key], None],
        relisted: Callable[[], None],
        missed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._mapper = mapper
        self._add = add
        self._relisted = relisted
        self._missed = missed
        self._last_event: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        self._struck: set[str] = set()
        self._filled = False

    def event(self, resource: Resource, kind: str | None, item: KubeObject) -> None:
        """One watch event (see watches.Sink)."""
        self._last_event[resource.label] = asyncio.get_running_loop().time()
        self._strikes.pop(resource.label, None)
        old = self._store.get(resource, namespace_of(item), name_of(item))
        if kind == "DELETED":
            if self._store.drop(resource, item):
                self._dirty(resource, old, item, gone=True)
            return
        if kind is None:
            self._relisted()
        if _same(old, item):
            # The answer to a write of ours came first. Whoever wrote has planned without what
            # others did just before, and those who depend on it have not been told at all.
            if kind is not None:
                self._dirty(resource, None, item)
            return
        if self._store.put(resource, item):
            self._dirty(resource, old, item)

    def difference(self, change: Change) -> None:
        """One thing the cache had wrong when everything was listed anew."""
        if self._filled:
            self._missed(change.resource.label)
            self._struck.add(change.resource.label)
        self._dirty(change.resource, change.old, change.new, gone=change.new is None)

    def swept(self) -> None:
        """A resync is complete: judge which watches have told nothing of what there was to tell.

        The first one fills an empty cache, and nobody is to blame for what it finds.
        """
        self._filled = True
        for label in self._struck:
            self._strikes[label] = self._strikes.get(label, 0) + 1
        self._struck.clear()

    def ages(self) -> dict[str, float]:
        """Seconds since the last event of each resource that has had one."""
        now = asyncio.get_running_loop().time()
        return {label: now - at for label, at in self._last_event.items()}

    def silent(self) -> list[str]:
        """Resources whose watch seems dead.

        Two resyncs in a row found changes of them and no event came in between. At rest there is
        nothing to tell, so the mere age of the last event says nothing.
        """
        return sorted(label for label, count in self._strikes.items() if count >= _STRIKES)

    def _dirty(
        self,
        resource: Resource,
        old: KubeObject | None,
        new: KubeObject | None,
        *,
        gone: bool = False,
    ) -> None:
        # Both states: what stops belonging to somebody concerns the one it leaves, too.
        keys = {
            key
            for item in (old, new)
            if item is not None
            for key in self._mapper.keys(resource, item, gone=gone)
        }
        for key in sorted(keys):
            self._add(key)


def _same(old: KubeObject | None, new: KubeObject) -> bool:
    version = metadata(new).get("resourceVersion")
    return (
        old is not None and version is not None and metadata(old).get("resourceVersion") == version
    )
