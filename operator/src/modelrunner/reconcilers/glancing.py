"""A cheap look at a Model at rest: only its runners are asked, nothing is rendered.

Runners are asked every few seconds, for all Models that are awake. A full look renders every
object that there should be, which is a hundred times the work; so it is left out while no object
has changed since the last one, and nothing follows from what the runners say.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain import naming
from modelrunner.domain.conditions import find
from modelrunner.domain.drafts import weights_seal
from modelrunner.domain.effective import Effective
from modelrunner.domain.fleet import alive
from modelrunner.domain.objects import Object, dig, name_of, text, uid_of
from modelrunner.domain.scaling import Keep
from modelrunner.domain.usage import FIELDS
from modelrunner.domain.volumes import Reach
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, MODEL_RUNNERS, MODELS, SERVICES
from modelrunner.kube.store import Store
from modelrunner.reconcilers.index import NameIndex
from modelrunner.reconcilers.ledger import Record, Resting
from modelrunner.reconcilers.observation import Observation
from modelrunner.reconcilers.observing import runner_pods
from modelrunner.reconcilers.probe import RunnerProbe, ask_runners
from modelrunner.reconcilers.steering import limited_by, recall, steer, with_use

FULL_LOOK_EVERY: Final = 240.0
"""Seconds for which glances are enough; less than a resync takes, so that each resync looks."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The corner of a reconciler's eye."""

    store: Store
    probe: RunnerProbe
    names: NameIndex

    def rest(
        self,
        model: Object,
        settings: Effective,
        now: float,
        reach: Reach = Reach.ANYWHERE,
        due_in: float | None = None,
    ) -> Resting:
        """What a full look leaves behind that found `model`, as it is stored, at rest.

        `due_in`: seconds after which glances are no longer enough.
        """
        seal = self._seal(model, settings)
        due = now + due_in if due_in is not None else None
        until = min(now + FULL_LOOK_EVERY, due or math.inf)
        return Resting(seal, settings, since=now, until=until, reach=reach, due=due)

    async def is_enough(
        self, model: Object, record: Record, now: float
    ) -> tuple[bool, float | None]:
        """Whether nothing follows from a glance, and then in how many seconds to look again."""
        resting = record.resting
        if resting is None or not resting.since <= now < resting.until:
            return False, None
        if resting.seal != self._seal(model, resting.settings):
            return False, None
        namespace, name = text(model, "metadata", "namespace"), name_of(model)
        pods = runner_pods(self.store, namespace, name)
        seen = Observation(
            now=now,
            model=model,
            settings=resting.settings,
            reach=resting.reach,
            deployment=self.store.get(DEPLOYMENTS, namespace, name),
            pods=pods,
            statuses=await ask_runners(self.probe, alive(pods)),
        )
        seen = recall(seen, record)
        course = steer(seen, changing=False)
        old = dig(model, "status") or {}
        bare = {field: value for field, value in old.items() if field not in FIELDS}
        quiet = isinstance(course.action, Keep) and with_use(seen, bare) == old
        told = find(old, ConditionType.REPLICAS_LIMITED) is not None
        quiet = quiet and told == (limited_by(seen, ()) is not None)
        return quiet, _sooner(course.look_after, resting.due, now)

    def _seal(self, model: Object, settings: Effective) -> tuple[object, ...]:
        self.names.follow(self.store)
        lost = tuple((name, owner.path) for name, owner in self.names.losses(model))
        return (lost, *(_version(found) for found in self._objects(model, settings)))

    def _objects(self, model: Object, settings: Effective) -> Iterator[Object | None]:
        """Everything watched that a full look is made from, but for other Models."""
        namespace, name = text(model, "metadata", "namespace"), name_of(model)
        get, by_label = self.store.get, self.store.by_label
        yield model
        yield get(DEPLOYMENTS, namespace, name)
        yield get(SERVICES, namespace, name)
        yield get(CLAIMS, namespace, naming.claim_name(settings.key))
        yield _spec(get(MODEL_RUNNERS, namespace, settings.runner))
        if settings.speculative is not None:
            yield _weights(get(MODELS, namespace, settings.speculative.draft_model))
        yield from by_label(JOBS, namespace, naming.MODEL_LABEL, name)
        for key in sorted({settings.key, settings.source_key}):
            yield from by_label(JOBS, namespace, naming.ARTIFACT_LABEL, key)
        yield from by_label(CLAIMS, namespace, naming.SOURCE_KEY_LABEL, settings.source_key)
        yield from runner_pods(self.store, namespace, name)


def _sooner(look_after: float | None, due: float | None, now: float) -> float | None:
    waits = [look_after, due - now if due is not None else None]
    return min((wait for wait in waits if wait is not None), default=None)


def _version(found: Object | None) -> tuple[str, str] | None:
    if found is None:
        return None
    return uid_of(found), text(found, "metadata", "resourceVersion")


def _weights(draft: Object | None) -> Object | None:
    """A Model by its spec and by what it says of its weights: its use is of no concern."""
    if draft is None:
        return None
    return {"metadata": {"uid": uid_of(draft), "resourceVersion": repr(weights_seal(draft))}}


def _spec(runner: Object | None) -> Object | None:
    """A ModelRunner by its generation: its status changes with every Model's."""
    if runner is None:
        return None
    generation = str(dig(runner, "metadata", "generation"))
    return {"metadata": {"uid": uid_of(runner), "resourceVersion": generation}}
