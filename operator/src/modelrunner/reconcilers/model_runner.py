"""The reconciler of ModelRunners: settings judged, Models counted, a monitor, caches kept."""

from collections.abc import Callable
from typing import Final

from modelrunner.api.v1alpha1 import ModelRunner
from modelrunner.api.v1alpha1 import defaults as absent
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.controller.result import Result
from modelrunner.domain import naming
from modelrunner.domain.conditions import find
from modelrunner.domain.effective import monitoring
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    controller_uid,
    dig,
    name_of,
    number,
    text,
    uid_of,
)
from modelrunner.domain.problem import Problem
from modelrunner.domain.status import runner_status
from modelrunner.domain.validation import ConfigurationError, check_runner, read
from modelrunner.kube.client import KubeClient
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import MODEL_RUNNERS, MODELS, SERVICE_MONITORS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.executing import Hands, StepRefused
from modelrunner.reconcilers.index import ArtifactKeys
from modelrunner.reconcilers.keeping import Keeper, Kept
from modelrunner.reconcilers.plan import Apply, Delete, Event, Plan, Step
from modelrunner.reconcilers.settling import settled
from modelrunner.render.common import Owner
from modelrunner.render.monitors import service_monitor

LOOK_EVERY: Final = 240.0
"""Seconds in which a ServiceMonitor is not looked at again: a little less than a resync."""


class ModelRunnerReconciler:
    """Tells whether a ModelRunner can be used, and by how many Models it is; looks after claims.

    `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        client: KubeClient,
        store: Store,
        recorder: EventRecorder,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._store = store
        self._hands = Hands(client, store, recorder, clock)
        self._keeper = Keeper(client, store, self._hands, ArtifactKeys(), clock)
        self._clock = clock
        self._looked: dict[tuple[str, str], tuple[tuple[str, int], float]] = {}

    async def reconcile(self, key: tuple[str, str]) -> Result:
        """One pass for the ModelRunner `(namespace, name)`.

        Raises:
            KubeError: the API server did not take a write now; again later, with back-off.
        """
        namespace, name = key
        runner = self._store.get(MODEL_RUNNERS, namespace, name)
        if runner is None:
            runner = await self._client.get(MODEL_RUNNERS, namespace, name)
        if runner is None or being_deleted(runner):
            self._looked.pop(key, None)
            return Result()
        problem = _problem(runner)
        steps = [] if problem is not None else await self._monitor_steps(runner)
        # What cannot be read says nothing about caches either.
        kept = (
            await self._keeper.keep(runner)
            if problem is None
            else Kept(status=dig(runner, "status", "cache"), look_after=None)
        )
        plan = self._plan(runner, steps, problem, kept)
        try:
            await self._hands.carry_out(namespace, plan)
        except StepRefused as error:
            self._looked.pop(key, None)
            plan = self._plan(runner, [], error.problem, kept)
        await self._hands.tell(MODEL_RUNNERS, runner, plan)
        return Result(plan.requeue_after)

    async def _monitor_steps(self, runner: Object) -> list[Step]:
        """Asks the server, but not again each time that one of many Models moves."""
        namespace, name = text(runner, "metadata", "namespace"), name_of(runner)
        version = (uid_of(runner), number(runner, "metadata", "generation"))
        known = self._looked.get((namespace, name))
        if known is not None and known[0] == version and self._clock() - known[1] < LOOK_EVERY:
            return []
        if not await self._client.has(SERVICE_MONITORS):
            # The kind may be installed later; this is reconciled again then.
            return []
        observed = await self._client.get(SERVICE_MONITORS, namespace, naming.monitor_name(name))
        self._looked[namespace, name] = (version, self._clock())
        return monitor_steps(runner, observed)

    def _plan(self, runner: Object, steps: list[Step], problem: Problem | None, kept: Kept) -> Plan:
        mine = [
            model
            for model in self._store.list(MODELS, text(runner, "metadata", "namespace"))
            if (text(model, "spec", "runner") or absent.RUNNER) == name_of(runner)
        ]
        ready = sum(_is_ready(model) for model in mine)
        status = runner_status(
            runner,
            problem,
            models=len(mine),
            ready_models=ready,
            cache=kept.status,
            now=self._clock(),
        )
        return Plan(
            steps=steps,
            status=status,
            events=_events(runner, problem),
            requeue_after=kept.look_after,
        )


def _problem(runner: Object) -> Problem | None:
    try:
        _read(runner)
    except ConfigurationError as error:
        return error.problem
    return None


def _read(runner: Object) -> ModelRunner:
    found = read(ModelRunner, {key: value for key, value in runner.items() if key != "status"})
    spec = found.spec
    check_runner(
        [variable.to_dict() for variable in spec.env or ()],
        spec.pod_template.to_dict() if spec.pod_template else {},
    )
    return found


def monitor_steps(runner: Object, observed: Object | None) -> list[Step]:
    """What brings the ServiceMonitor of a ModelRunner to what is wanted. Pure."""
    settings, uid = monitoring(_read(runner)), uid_of(runner)
    if not settings.service_monitor:
        if observed is None or controller_uid(observed) != uid or being_deleted(observed):
            return []
        return [Delete(SERVICE_MONITORS, name_of(observed), uid_of(observed))]
    namespace = text(runner, "metadata", "namespace")
    wanted = service_monitor(namespace, Owner("ModelRunner", name_of(runner), uid), settings)
    if observed is not None and (being_deleted(observed) or settled(observed, wanted)):
        return []
    return [Apply(SERVICE_MONITORS, wanted)]


def _is_ready(model: Object) -> bool:
    found = find(dig(model, "status"), ConditionType.READY)
    return found is not None and found.get("status") == "True"


def _events(runner: Object, problem: Problem | None) -> list[Event]:
    found = find(dig(runner, "status"), ConditionType.READY)
    reason = str(problem.reason) if problem is not None else "Ready"
    if found is not None and found.get("reason") == reason:
        return []
    if problem is None:
        return [Event("Normal", reason, "Models can use this ModelRunner")]
    return [Event("Warning", reason, problem.message)]
