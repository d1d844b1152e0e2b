"""When to apply: never to say again what the server already knows."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.kube.comparison import covers
from modelrunner.kube.objects import KubeObject, metadata, uid_of

_SERVER_OWNED: Final = frozenset({"generation", "managedFields", "resourceVersion"})


@dataclass(frozen=True, slots=True)
class _Settled:
    desired: str
    resource_version: str
    content: str


class ApplyMemo:
    """What was applied last, per object, and what the server made of it.

    Makes sure that a difference the server insists on (an unknown normalisation, a mutating
    webhook) costs one PATCH and not one per reconcile. Lost on restart, which is harmless.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._settled: OrderedDict[str, _Settled] = OrderedDict()

    def applied(self, desired: Mapping[str, Any], live: KubeObject) -> None:
        """Remember the server's answer to an apply of `desired`."""
        self._keep(uid_of(live), _Settled(digest(desired), _version(live), _content(live)))

    def forget(self, uid: str) -> None:
        """Drop what is known of a deleted object."""
        self._settled.pop(uid, None)

    def known(self, uid: str) -> _Settled | None:
        """The entry of an object, for `needs_apply`."""
        return self._settled.get(uid)

    def _keep(self, uid: str, entry: _Settled) -> None:
        self._settled.pop(uid, None)
        self._settled[uid] = entry
        while len(self._settled) > self._limit:
            self._settled.popitem(last=False)


def needs_apply(desired: Mapping[str, Any], observed: KubeObject | None, memo: ApplyMemo) -> bool:
    """Whether applying `desired` could change the stored object.

    After an apply, give its answer to `memo.applied`. A field that was in an earlier `desired`
    and is gone from this one is noticed while this process runs; for that to survive a restart,
    a manifest carries a hash of itself as an annotation, and that differs.
    """
    if observed is None:
        return True
    known = memo.known(uid_of(observed))
    if known is not None:
        if known.desired != digest(desired):
            return True
        if known.resource_version == _version(observed):
            return False
    if covers(observed, desired):
        memo.applied(desired, observed)
        return False
    return known is None or known.content != _content(observed)


def digest(value: Any) -> str:
    """A hash of any JSON value that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _version(item: KubeObject) -> str:
    return str(metadata(item).get("resourceVersion") or "")


def _content(item: KubeObject) -> str:
    """A hash of what users and controllers wrote: without status and bookkeeping."""
    kept = {key: value for key, value in item.items() if key != "status"}
    kept["metadata"] = {
        key: value for key, value in metadata(item).items() if key not in _SERVER_OWNED
    }
    return digest(kept)
