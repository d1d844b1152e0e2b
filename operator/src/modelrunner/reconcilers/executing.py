"""Writing what a plan says: steps in order, then the status, then the event."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from modelrunner.domain.growth import not_grown
from modelrunner.domain.naming import FIELD_MANAGER
from modelrunner.domain.objects import Object, dig, name_of, text, uid_of
from modelrunner.domain.problem import Problem
from modelrunner.kube.apply import ApplyMemo, digest, needs_apply
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import CLAIMS, SERVICE_MONITORS, SERVICES, Resource
from modelrunner.kube.store import Store
from modelrunner.reconcilers.plan import Apply, Create, Delete, Event, Patch, Plan, Step
from modelrunner_protocol.reasons import Reason

_ACTION: Final = "Reconcile"
OFFER_AGAIN: Final = 270.0
"""Seconds until a refused object is offered again: a quota may have been raised since."""

# Nobody would tell the cache when one of these changes or goes.
_UNWATCHED: Final = frozenset({SERVICE_MONITORS})
_REMEMBERED: Final = 10_000
_log = logging.getLogger(__name__)


_MEND: Final = (
    "change the ModelRunner (spec.podTemplate, spec.env, spec.scheduling, spec.resources)"
)
_MENDS: Final = {
    CLAIMS: "change spec.cache of the ModelRunner, or delete the claim to have a new one made",
    SERVICES: "create the Model again under a name that a Service can have",
    SERVICE_MONITORS: "change spec.monitoring of the ModelRunner",
}


class StepRefused(Exception):  # noqa: N818 - reads as what happened
    """The API server does not accept an object of the plan; asking again would not help."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Refusal:
    offered: str
    problem: Problem
    at: float


@dataclass(frozen=True, slots=True)
class Hands:
    """The hands of a reconciler. Answers of the server go into the cache at once.

    `clock` gives seconds since the epoch. `refusals` remembers what the server said to an object,
    so that the same object is not offered again with every reconcile.
    """

    client: KubeClient
    store: Store
    recorder: EventRecorder
    clock: Callable[[], float]
    memo: ApplyMemo = field(default_factory=ApplyMemo)
    refusals: dict[tuple[Resource, str, str], _Refusal] = field(default_factory=dict)

    async def carry_out(self, namespace: str, plan: Plan) -> list[Event]:
        """All steps, in order: what is stored comes before what it replaces is deleted.

        Returns what is to be told of steps that were refused and that nobody needs.

        Raises:
            StepRefused: the server does not accept an object; later steps were not done.
            KubeError: try again later.
        """
        told: list[Event] = []
        for step in plan.steps:
            if self._held_back(namespace, step):
                continue
            self._recall(namespace, step)
            try:
                await self._step(namespace, step)
            except Conflict:
                if not (isinstance(step, Delete) and step.resource_version):
                    raise
                # It is no longer what was looked at: what has become of it is told by the watch.
                break
            except (Invalid, Forbidden) as error:
                problem = _refusal(step, error, self._known(namespace, step))
                self._remember(namespace, step, problem)
                if not (isinstance(step, Patch) and step.optional):
                    raise StepRefused(problem) from error
                told.append(Event("Warning", str(problem.reason), problem.message))
        return told

    def _known(self, namespace: str, step: Step) -> Object | None:
        name = step.name if isinstance(step, Delete | Patch) else name_of(step.body)
        return self.store.get(step.resource, namespace, name)

    def _held_back(self, namespace: str, step: Step) -> bool:
        """Whether something that nobody needs was refused a moment ago."""
        if not isinstance(step, Patch) or not step.optional:
            return False
        known = self.refusals.get(_place(namespace, step))
        same = known is not None and known.offered == digest(step.body)
        return same and known is not None and self.clock() - known.at < OFFER_AGAIN

    def _recall(self, namespace: str, step: Step) -> None:
        if isinstance(step, Delete | Patch):
            return
        known = self.refusals.pop(_place(namespace, step), None)
        if known is None or known.offered != digest(step.body):
            return
        if self.clock() - known.at < OFFER_AGAIN:
            self.refusals[_place(namespace, step)] = known
            raise StepRefused(known.problem)

    def _remember(self, namespace: str, step: Step, problem: Problem) -> None:
        if isinstance(step, Delete):
            return
        if len(self.refusals) >= _REMEMBERED:
            self.refusals.clear()
        refusal = _Refusal(digest(step.body), problem, self.clock())
        self.refusals[_place(namespace, step)] = refusal

    async def tell(self, resource: Resource, obj: Object, plan: Plan) -> None:
        """The status when it differs, and the event of a transition."""
        old: dict[str, Any] = dict(dig(obj, "status") or {})
        namespace, name = text(obj, "metadata", "namespace"), name_of(obj)
        if plan.status != old:
            try:
                live = await self.client.patch_status(
                    resource, namespace, name, plan.status, previous=old
                )
            except NotFound:
                return
            self.store.put(resource, live)
        for event in plan.events:
            await self.recorder.record(
                obj, type=event.type, reason=event.reason, note=event.note, action=_ACTION
            )

    async def _step(self, namespace: str, step: Step) -> None:
        match step:
            case Delete(resource, name, uid, version):
                await self.client.delete(
                    resource,
                    namespace,
                    name,
                    propagation="Background",
                    uid=uid,
                    resource_version=version or None,
                )
                self.memo.forget(uid)
            case Create(resource, body):
                live = await self.client.create(
                    resource, namespace, body, field_manager=FIELD_MANAGER
                )
                self.store.put(resource, live)
            case Apply(resource, body):
                await self._apply(namespace, resource, body)
            case Patch():
                await self.patch(namespace, step)
        _log.info("%s", _words(step), extra={"namespace": namespace})

    async def patch(self, namespace: str, step: Patch) -> Object:
        """Patch exactly the object that was looked at; the live object.

        Raises:
            Conflict: there is another of that name now.
            NotFound: it is gone, which nobody has told yet.
        """
        body = {**step.body, "metadata": {**step.body.get("metadata", {}), "uid": step.uid}}
        try:
            live = await self.client.merge_patch(
                step.resource, namespace, step.name, body, field_manager=step.manager
            )
        except NotFound:
            known = self.store.get(step.resource, namespace, step.name)
            if known is not None and uid_of(known) == step.uid:
                self.store.drop(step.resource, known)
            raise
        self.store.put(step.resource, live)
        return live

    async def _apply(self, namespace: str, resource: Resource, body: dict[str, Any]) -> None:
        name = name_of(body)
        if not needs_apply(body, self.store.get(resource, namespace, name), self.memo):
            return
        live = await self.client.apply(resource, namespace, name, body, field_manager=FIELD_MANAGER)
        self.memo.applied(body, live)
        if resource not in _UNWATCHED:
            self.store.put(resource, live)


def _place(namespace: str, step: Create | Apply | Patch) -> tuple[Resource, str, str]:
    if isinstance(step, Patch):
        return step.resource, namespace, f"{step.name}/"
    return step.resource, namespace, name_of(step.body)


def _refusal(step: Step, error: KubeError, known: Object | None) -> Problem:
    if isinstance(step, Apply | Patch) and step.resource == CLAIMS and known is not None:
        found = not_grown(known, step.body, error.message)
        if found is not None:
            return found
    what = _words(step)
    resource = step.resource
    mend = _MENDS.get(resource, _MEND)
    if "exceeded quota" in error.message:
        mend = "raise the quota of the namespace, or delete what it is used up by"
    return Problem(
        Reason.INVALID_CONFIGURATION,
        f"the API server refuses to {what}: {error.message.rstrip('.')}. Mend: {mend}",
    )


def _words(step: Step) -> str:
    match step:
        case Delete(resource, name, _, _):
            return f"delete {resource.kind} {name}"
        case Create(resource, body):
            return f"create {resource.kind} {name_of(body)}"
        case Apply(resource, body):
            return f"apply {resource.kind} {name_of(body)}"
        case Patch(resource, name):
            return f"change {resource.kind} {name}"
