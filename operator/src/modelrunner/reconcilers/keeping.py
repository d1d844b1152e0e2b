"""Looking after cache claims: who uses them is told on them, and those whose time is over go.

A deletion cannot be made part of somebody else's creation, so it is guarded from both sides. Here,
the server itself is asked for all that could use the claim, and the claim goes only in exactly the
state in which it said that nobody uses it. There, whoever is to use a claim takes that mark away
first (`taken`), which is another state. So no Model loses a cache that was there when the server was
asked for all Models. One that is made after that, in the time of one request, finds its claim gone
as if it had come a moment later, says so, and pulls: a server cannot be asked for two objects at once.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from modelrunner.api.v1alpha1 import Retention
from modelrunner.api.v1alpha1 import defaults as absent
from modelrunner.domain import naming
from modelrunner.domain.claim_users import ClaimUsers, claim_users
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    format_time,
    name_of,
    text,
    uid_of,
)
from modelrunner.domain.upkeep import Survey, Unused, cache_status, cared_for, obituary, survey
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Conflict, Forbidden, Invalid, NotFound
from modelrunner.kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    JOBS,
    MODEL_RUNNERS,
    MODELS,
    PODS,
    Resource,
)
from modelrunner.kube.store import Store
from modelrunner.reconcilers.executing import Hands
from modelrunner.reconcilers.plan import Patch
from modelrunner_protocol.durations import parse_duration

STILL_MOUNTED: Final = 30.0
"""Seconds until a claim is looked at again that only pods without a Model use: nobody tells."""

NOT_NOW: Final = 270.0
"""Seconds until a claim is tried again that strangers use, or that may not be deleted."""

_HOLDERS: Final = (DEPLOYMENTS, JOBS, PODS)
_ACTION: Final = "Upkeep"
_log = logging.getLogger(__name__)

Keys = Callable[[Object], Collection[str]]
"""The keys of a Model's source and of the version it wants; none: it cannot be read."""


def taken(claim: Object | None) -> Iterator[Patch]:
    """Say that a claim is used again, before it is."""
    if claim is None or being_deleted(claim):
        return
    if annotation(claim, naming.UNUSED_ANNOTATION):
        yield _marked(claim, None)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a look has left: `status.cache`, and seconds until the next look (None: when told)."""

    status: dict[str, Any] | None
    look_after: float | None


@dataclass(frozen=True, slots=True)
class Keeper:
    """Looks after the claims of ModelRunners. `clock` gives seconds since the epoch."""

    client: KubeClient
    store: Store
    hands: Hands
    keys: Keys
    clock: Callable[[], float]

    async def keep(self, runner: Object) -> Kept:
        """One look at the claims of a ModelRunner.

        Raises:
            KubeError: the server could not be asked, or did not take a write now.
        """
        namespace, now = text(runner, "metadata", "namespace"), self.clock()
        found = self._survey(runner, now)
        for patch in _notes(found):
            await self._patch(namespace, patch)
        left, refused = [], False
        for one in found.unused:
            one_now = one if one.marked else await self._mark(namespace, one)
            if one_now is not None and one_now.is_due(now):
                gone = await self._delete(runner, namespace, one_now)
                refused |= not gone
                one_now = None if gone else one_now
            if one_now is not None:
                left.append(one_now)
        return self._kept(found, left, refused=refused, now=now)

    def _survey(self, runner: Object, now: float) -> Survey:
        namespace = text(runner, "metadata", "namespace")
        names = [name_of(one) for one in self.store.list(MODEL_RUNNERS, namespace)]
        claims = cared_for(self.store.list(CLAIMS, namespace), name_of(runner), names)
        if not claims:
            return Survey()
        models = self.store.list(MODELS, namespace)
        holders = [one for kind in _HOLDERS for one in self.store.list(kind, namespace)]
        by_uid = {uid_of(model): model for model in models}
        ttl = text(runner, "spec", "cache", "ttl")

        def retention_of(uid: str) -> Retention | None:
            return self._retention(by_uid[uid]) if uid in by_uid else None

        return survey(
            claims,
            self._users(models, holders),
            ttl=parse_duration(ttl) if ttl else None,
            retention_of=retention_of,
            now=now,
        )

    def _kept(self, found: Survey, left: Sequence[Unused], *, refused: bool, now: float) -> Kept:
        gone = {uid_of(one.claim) for one in found.unused} - {uid_of(one.claim) for one in left}
        claims = [claim for claim in found.claims if uid_of(claim) not in gone]
        waits = [found.next_end(now)]
        waits += [STILL_MOUNTED] if found.mounted_only else []
        waits += [NOT_NOW] if refused else []
        return Kept(
            status=cache_status(replace(found, claims=claims, unused=left)),
            look_after=min((wait for wait in waits if wait is not None), default=None),
        )

    def _users(self, models: Sequence[Object], holders: Sequence[Object]) -> ClaimUsers:
        return claim_users(models, holders, keys_of=self._refers_to)

    def _refers_to(self, model: Object) -> Collection[str] | None:
        runner = self._runner_of(model)
        if runner is not None and text(runner, "spec", "cache", "existingClaim"):
            return ()
        return self.keys(model) or None

    def _retention(self, model: Object) -> Retention:
        runner = self._runner_of(model)
        if runner is None:
            return Retention.RETAIN
        found = text(runner, "spec", "cache", "retention")
        return Retention(found) if found in set(Retention) else absent.CACHE_RETENTION

    def _runner_of(self, model: Object) -> Object | None:
        name = text(model, "spec", "runner") or absent.RUNNER
        return self.store.get(MODEL_RUNNERS, text(model, "metadata", "namespace"), name)

    async def _patch(self, namespace: str, patch: Patch) -> Object | None:
        try:
            return await self.hands.patch(namespace, patch)
        except (Conflict, NotFound):
            # Somebody was first: what follows from that is told by the watch.
            return None

    async def _mark(self, namespace: str, one: Unused) -> Unused | None:
        """Write on the claim since when nobody uses it; None: it has changed meanwhile."""
        live = await self._patch(namespace, _marked(one.claim, one.since))
        return replace(one, claim=live, marked=True) if live is not None else None

    async def _delete(self, runner: Object, namespace: str, one: Unused) -> bool:
        """Delete a claim if really nobody uses it. False: it is still there."""
        if await self._in_use(namespace, one.claim):
            return False
        claim, now = one.claim, self.clock()
        try:
            await self.client.delete(
                CLAIMS,
                namespace,
                name_of(claim),
                propagation="Background",
                uid=uid_of(claim),
                resource_version=text(claim, "metadata", "resourceVersion"),
            )
        except Conflict:
            return False
        except (Forbidden, Invalid) as error:
            note = (
                f"the API server does not let the operator delete PersistentVolumeClaim"
                f" {name_of(claim)}, which nobody uses: {error.message.rstrip('.')}. Mend: let its"
                " account delete persistentvolumeclaims, as the chart of this version does, or"
                " change the policy that refuses it"
            )
            await self._tell(runner, "Warning", "CacheDeletionRefused", note)
            return False
        await self._tell(runner, "Normal", "CacheDeleted", obituary(one, now=now))
        return True

    async def _in_use(self, namespace: str, claim: Object) -> bool:
        """As the server has it now, pods of strangers included."""
        holders = [one for kind in _HOLDERS for one in await self._live(kind, namespace)]
        # Models last: anybody may make one at any time, and the deletion is the very next request.
        models = await self.client.list(MODELS, namespace)
        return self._users(models, holders).uses(claim)

    async def _live(self, kind: Resource, namespace: str) -> list[Object]:
        # Of pods all: anybody may look into a cache. The rest of the namespace is of no concern.
        ours = "" if kind == PODS else f"{naming.MANAGED_BY_LABEL}={naming.MANAGED_BY}"
        return [*await self.client.list(kind, namespace, label_selector=ours)]

    async def _tell(self, runner: Object, kind: Any, reason: str, note: str) -> None:
        _log.info("%s: %s", reason, note)
        await self.hands.recorder.record(
            runner, type=kind, reason=reason, note=note, action=_ACTION
        )


def _notes(found: Survey) -> Iterator[Patch]:
    for claim in found.marked_in_vain:
        yield _marked(claim, None)
    for claim, owners in found.disowned:
        body = {
            "metadata": {
                "resourceVersion": text(claim, "metadata", "resourceVersion"),
                "ownerReferences": list(owners),
            }
        }
        yield Patch(CLAIMS, name_of(claim), uid_of(claim), body, naming.UPKEEP_MANAGER)


def _marked(claim: Object, since: float | None) -> Patch:
    stamp = None if since is None else format_time(since)
    body = {"metadata": {"annotations": {naming.UNUSED_ANNOTATION: stamp}}}
    return Patch(CLAIMS, name_of(claim), uid_of(claim), body, naming.UPKEEP_MANAGER)
