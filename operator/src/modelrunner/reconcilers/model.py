"""The reconciler of Models."""

from collections.abc import Callable
from dataclasses import replace

from modelrunner.controller.result import Result
from modelrunner.domain.downloads import PullEnd
from modelrunner.domain.effective import OperatorDefaults
from modelrunner.domain.expressions import ExpressionError
from modelrunner.domain.objects import uid_of
from modelrunner.domain.problem import Problem
from modelrunner.domain.usage import FIELDS
from modelrunner.kube.client import KubeClient
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import MODELS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.complaints import Complaints
from modelrunner.reconcilers.counting import PullCounter
from modelrunner.reconcilers.doors import Doors, Told
from modelrunner.reconcilers.executing import Hands, StepRefused
from modelrunner.reconcilers.glancing import Glance
from modelrunner.reconcilers.index import ModelIndex
from modelrunner.reconcilers.ledger import Ledger, Record
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.observing import Sight
from modelrunner.reconcilers.plan import Plan
from modelrunner.reconcilers.planning import plan_model, refused
from modelrunner.reconcilers.probe import RunnerProbe
from modelrunner.reconcilers.steering import recall
from modelrunner.render.documents import RenderError
from modelrunner_protocol.reasons import Reason


class ModelReconciler:
    """Brings a Model from its source to a ready pod, and tells how far it is.

    `clock` gives seconds since the epoch; `scaled` is told each change of the number of runners,
    `pulled` each pull Job that ended.
    """

    def __init__(
        self,
        client: KubeClient,
        store: Store,
        recorder: EventRecorder,
        probe: RunnerProbe,
        *,
        defaults: OperatorDefaults,
        clock: Callable[[], float],
        scaled: Told = lambda _direction, _result: None,
        pulled: Callable[[PullEnd], None] = lambda _: None,
    ) -> None:
        self._sight = Sight(client, store, probe, Complaints(client), ModelIndex())
        self._glance = Glance(store, probe, self._sight.names)
        self._hands = Hands(client, store, recorder, clock)
        self._doors = Doors(client, store, recorder, probe, clock, scaled)
        self._ledger = Ledger()
        self._pulls = PullCounter(pulled, clock())
        self._defaults = defaults
        self._clock = clock

    async def reconcile(self, key: tuple[str, str]) -> Result:
        """One pass for the Model `(namespace, name)`.

        Raises:
            KubeError: the API server did not take a write now; again later, with back-off.
        """
        namespace, name = key
        model = await self._sight.find(MODELS, namespace, name)
        if model is None or not uid_of(model):
            self._ledger.forget(key)
            return Result()
        now = self._clock()
        record = self._ledger.of(model, now)
        enough, look_after = await self._glance.is_enough(model, record, now)
        if enough:
            return Result(look_after)
        seen = recall(await self._sight.observe(model, now), record)
        plan = self._plan(seen)
        try:
            told = await self._hands.carry_out(namespace, plan)
            plan = replace(plan, events=[*plan.events, *told])
        except StepRefused as error:
            plan = refused(seen, self._defaults, error.problem)
        await self._hands.tell(MODELS, model, plan)
        self._remember(seen, plan, record)
        self._pulls.take(plan.pull_ended)
        if plan.scaling is not None:
            await self._doors.carry_out(model, plan.scaling, record)
        return Result(plan.requeue_after)

    def _remember(self, seen: Observation, plan: Plan, record: Record) -> None:
        old = seen.model.get("status") or {}
        if any(plan.status.get(field) != old.get(field) for field in FIELDS):
            record.written_at = seen.now
        record.resting = None
        if plan.at_rest and seen.settings is not None:
            record.resting = self._glance.rest(
                seen.model, seen.settings, seen.now, seen.reach, plan.due_in
            )

    def _plan(self, seen: Observation) -> Plan:
        try:
            return plan_model(seen, self._defaults)
        except (RenderError, ExpressionError) as error:
            problem = Problem(Reason.INVALID_CONFIGURATION, str(error))
            return refused(seen, self._defaults, problem)
