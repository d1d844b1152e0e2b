"""Plans: each stage, and that a plan leaves nothing to plan."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrunner.domain.effective import OperatorDefaults
from modelrunner.domain.names import Claimant
from modelrunner.domain.objects import uid_of
from modelrunner.domain.problem import Problem
from modelrunner.domain.scaling import POLL, Sleep
from modelrunner.kube.apply import ApplyMemo, needs_apply
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, SERVICES
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.plan import Apply, Create, Delete, Patch, Plan
from modelrunner.reconcilers.planning import plan_model, refused
from modelrunner.render.common import Owner
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from modelrunner_protocol.wire import Outcome
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, settings_of
from tests.unit.modelrunner.reconcilers.worlds import (
    ARTIFACT,
    DEFAULTS,
    OWNER,
    after,
    job_ended,
    ready_pods,
    rolled_out,
    start,
)

FOUND = Outcome(artifact=ARTIFACT)
SHARED: dict[str, Any] = {"cache": {"existingClaim": "shared"}}


def words(plan: Plan) -> list[str]:
    """The steps in short."""
    found = []
    for step in plan.steps:
        name = step.name if isinstance(step, Delete | Patch) else step.body["metadata"]["name"]
        found.append(f"{type(step).__name__} {step.resource.kind} {name}")
    return found


def advance(seen: Observation) -> Observation:
    """Carry out one plan, and check that it leaves nothing to do."""
    plan = plan_model(seen, DEFAULTS)
    done = after(seen, plan)
    again = plan_model(done, DEFAULTS)
    assert words(again) == []
    settled = after(done, again)
    last = plan_model(settled, DEFAULTS)
    assert last.status == settled.model["status"]
    assert last.events == []
    return settled


def walk(seen: Observation) -> Observation:
    """From the apply to a ready Model."""
    seen = advance(seen)
    seen = advance(replace(seen, resolve=job_ended(seen.resolve, "resolve", FOUND)))
    if seen.pull is not None:
        seen = advance(replace(seen, pull=job_ended(seen.pull, "pull", FOUND)))
    seen = replace(seen, pods=ready_pods(), deployment=rolled_out(seen.deployment))
    return advance(seen)


@pytest.mark.parametrize(
    ("spec", "runner"),
    [
        (HTTP, {}),
        (HTTP, SHARED),
        (CLAIM, {}),
        (HTTP, {"accelerator": {"resource": "nvidia.com/gpu"}, "env": [{"name": "A"}]}),
    ],
)
def test_every_plan_is_the_last_of_its_kind(spec: dict[str, Any], runner: dict[str, Any]) -> None:
    """Planned again over its own result, no stage has anything left to write or to tell."""
    seen = walk(start(spec, runner))
    assert seen.model["status"]["phase"] == "Ready"
    assert (seen.resolve, seen.pull) == (None, None)
    plan = plan_model(seen, DEFAULTS)
    assert (plan.requeue_after, plan.at_rest) == (POLL, True)


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "contextSize": st.integers(1, 10**6),
            "rawRuntimeFlags": st.sampled_from(["", "--temp 0.2", "--top-k 5 --mlock"]),
            "mode": st.sampled_from(["completion", "embedding"]),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "accelerator": st.just({"resource": "a.b/c", "count": 2}),
            "resources": st.just({"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}),
            "drainTimeout": st.sampled_from(["1s", "500ms", "24h"]),
            "cache": st.sampled_from(
                [{"size": "5Gi"}, {"retention": "Delete"}, {"existingClaim": "x"}, {}]
            ),
            "env": st.lists(
                st.fixed_dictionaries({"name": st.just("A"), "value": st.text(max_size=9)}),
                max_size=1,
            ).filter(lambda env: "{" not in str(env[:1] and env[0]["value"])),
        },
    ),
)
def test_any_settings_come_to_rest(config: dict[str, Any], runner: dict[str, Any]) -> None:
    """Whatever the settings, a Model ends Ready with an empty plan."""
    seen = walk(start(HTTP | {"config": config}, runner))
    assert plan_model(seen, DEFAULTS).steps == []


def serving(seen: Observation, *, replicas: int = 1, **told: Any) -> Observation:
    """Ready, with a runner that says this."""
    status = RunnerStatus(state=RunnerState.READY, started_at=seen.now - 5000, **told)
    found = copy.deepcopy(seen.deployment)
    assert isinstance(found, dict)
    found["metadata"]["resourceVersion"] = "7"
    found["spec"]["replicas"] = replicas
    return replace(seen, deployment=found, statuses={uid_of(seen.pods[0]): status})


def test_an_idle_model_goes_to_sleep_over_what_was_looked_at() -> None:
    """The Deployment's version guards the step; nothing else is written, and it is not at rest."""
    seen = serving(walk(start()), last_used_at=1.0)
    plan = plan_model(seen, DEFAULTS)
    assert plan.steps == []
    assert plan.scaling is not None
    assert (plan.scaling.deployment, plan.scaling.resource_version) == ("m", "7")
    assert isinstance(plan.scaling.action, Sleep)
    assert not plan.at_rest


def test_nothing_is_scaled_while_something_else_is_wrong_or_written() -> None:
    """A problem, a changed Deployment, a Model that goes, a stranger's Deployment."""
    seen = serving(walk(start()), last_used_at=1.0)
    problem = Problem(Reason.INVALID_CONFIGURATION, "x")
    assert refused(seen, DEFAULTS, problem).scaling is None
    assert plan_model(replace(seen, settings=None, problem=problem), DEFAULTS).scaling is None
    changed = replace(seen, settings=settings_of(HTTP | {"warmup": {"enabled": False}}))
    assert plan_model(changed, DEFAULTS).scaling is None
    model = copy.deepcopy(dict(seen.model))
    model["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert plan_model(replace(seen, model=model), DEFAULTS).scaling is None
    strange = copy.deepcopy(seen.deployment)
    assert isinstance(strange, dict)
    strange["metadata"] |= {"ownerReferences": [], "labels": {}}
    assert plan_model(replace(seen, deployment=strange), DEFAULTS).scaling is None


def test_a_runner_that_is_being_drained_does_not_speak_for_the_model() -> None:
    """It is not ready because we have asked it to be; alone, it does."""
    seen = serving(walk(start()), replicas=2, closed_until=1.0)
    old = seen.pods[0]
    leaving = copy.deepcopy(old)
    assert isinstance(leaving, dict)
    leaving["metadata"] |= {"name": "z", "uid": "z"}
    leaving["status"]["conditions"] = []
    found = copy.deepcopy(seen.deployment)
    assert isinstance(found, dict)
    found["status"] |= {"updatedReplicas": 2, "replicas": 2}
    told = seen.statuses[uid_of(old)]
    statuses = {uid_of(old): replace(told, closed_until=None) if told else None, "z": told}
    both = replace(seen, deployment=found, pods=[old, leaving], statuses=statuses)
    kinds = [one["type"] for one in plan_model(both, DEFAULTS).status["conditions"]]
    assert kinds == ["Ready", "Cached"]
    alone = plan_model(replace(seen, pods=[leaving], statuses={"z": told}), DEFAULTS)
    assert alone.status["readyReplicas"] == 0


def test_a_lost_name_is_told_once() -> None:
    """A condition beside the others and one event, which does not come again."""
    older = Claimant("web", "old", "o", "2026-11-21T10:00:00Z")
    seen = replace(walk(start()), lost_names=[("gpt", older)])
    plan = plan_model(seen, DEFAULTS)
    assert [(one.type, one.reason) for one in plan.events] == [("Warning", "NameConflict")]
    last = plan.status["conditions"][-1]
    assert (last["type"], last["status"]) == ("NameConflict", "True")
    assert plan.status["phase"] == "Ready"
    again = plan_model(after(seen, plan), DEFAULTS)
    assert (again.events, again.steps, again.at_rest) == ([], [], True)


def test_the_steps_in_their_order() -> None:
    """What is stored comes before what it replaces is deleted."""
    seen = start()
    key = settings_of().key
    plan = plan_model(seen, DEFAULTS)
    assert words(plan) == [f"Create Job resolve-{key}"]
    seen = after(seen, plan)
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", FOUND))
    plan = plan_model(seen, DEFAULTS)
    assert words(plan) == [
        f"Apply PersistentVolumeClaim model-cache-{key}",
        f"Create Job pull-{key}",
    ]
    seen = after(seen, plan)
    plan = plan_model(replace(seen, pull=job_ended(seen.pull, "pull", FOUND)), DEFAULTS)
    assert words(plan) == [
        f"Apply PersistentVolumeClaim model-cache-{key}",
        "Apply Deployment m",
        "Apply Service m",
        f"Delete Job resolve-{key}",
        f"Delete Job pull-{key}",
    ]


def test_a_retry_deletes_before_it_creates() -> None:
    """The names are the same, and the new Job says which try it is."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    failed = Outcome(reason=Reason.PULL_FAILED, message="503", retryable=True)
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", failed))
    assert words(plan_model(replace(seen, now=seen.now - 5), DEFAULTS)) == []
    later = plan_model(seen, DEFAULTS)
    key = settings_of().key
    assert words(later) == [f"Delete Job resolve-{key}", f"Create Job resolve-{key}"]
    create = later.steps[1]
    assert isinstance(create, Create)
    assert create.body["metadata"]["annotations"]["modelrunner.dev/attempt"] == "2"


def test_a_problem_stops_all_writing_but_the_status() -> None:
    """RunnerNotFound, a conflict, a refusal: no child is touched."""
    seen = walk(start())
    problem = Problem(Reason.NAME_CONFLICT, "x")
    plan = refused(seen, DEFAULTS, problem)
    assert plan.steps == []
    assert [(event.type, event.reason) for event in plan.events] == [("Warning", "NameConflict")]
    lost = replace(seen, settings=None, problem=Problem(Reason.RUNNER_NOT_FOUND, "x"))
    assert plan_model(lost, DEFAULTS).steps == []


def test_a_model_that_goes_is_left_alone() -> None:
    """Nothing but the status is written to what is being deleted."""
    seen = walk(start())
    model = copy.deepcopy(dict(seen.model))
    model["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    plan = plan_model(replace(seen, model=model), DEFAULTS)
    assert plan.steps == []
    assert plan.status["phase"] == "Terminating"
    assert plan.requeue_after is None


def test_an_upgrade_writes_nothing() -> None:
    """A new default image leaves Deployments as they are; a user's wish takes it along."""
    seen = walk(start())
    newer = OperatorDefaults(runner_image="operator/runner:2")
    assert plan_model(seen, newer).steps == []
    wish = replace(seen, settings=settings_of(HTTP | {"warmup": {"enabled": False}}))
    plan = plan_model(wish, newer)
    assert words(plan) == ["Apply Deployment m"]
    assert plan.status["conditions"][-1]["type"] == "Reconciling"


def test_drift_is_mended() -> None:
    """A human's edit of a child is set back."""
    seen = walk(start())
    edited = copy.deepcopy(seen.deployment)
    assert isinstance(edited, dict)
    edited["spec"]["revisionHistoryLimit"] = 9
    service = copy.deepcopy(seen.service)
    assert isinstance(service, dict)
    service["spec"]["ports"][0]["port"] = 81
    plan = plan_model(replace(seen, deployment=edited, service=service), DEFAULTS)
    assert [step.resource for step in plan.steps] == [DEPLOYMENTS, SERVICES]


def test_a_field_of_an_earlier_operator_is_noticed_by_a_new_one() -> None:
    """Nothing that is wanted differs, but the hash says that something more was wanted before."""
    seen = walk(start())
    service, claim = copy.deepcopy(seen.service), copy.deepcopy(seen.claim)
    for stored in (service, claim):
        assert isinstance(stored, dict)
        stored["metadata"]["labels"]["dropped"] = "since"
        stored["metadata"]["annotations"]["modelrunner.dev/rendered"] = "of the earlier operator"
    plan = plan_model(replace(seen, service=service, claim=claim), DEFAULTS)
    assert [step.resource for step in plan.steps] == [CLAIMS, SERVICES]
    for step, stored in zip(plan.steps, (claim, service), strict=True):
        assert isinstance(step, Apply)
        assert isinstance(stored, dict)
        assert needs_apply(step.body, stored, ApplyMemo())


def test_somebody_elses_job_is_judged_by_its_maker() -> None:
    """Two Models on different ModelRunners do not replace each other's Job in turns."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    assert seen.resolve is not None
    job = copy.deepcopy(dict(seen.resolve.job))
    job["metadata"]["labels"]["modelrunner.dev/model"] = "other"
    job["metadata"]["annotations"]["modelrunner.dev/inputs"] = "theirs"
    other = Owner("Model", "other", "o")
    shared = replace(seen, resolve=JobAndPods(job=job), sharers=[OWNER, other])
    plan = plan_model(shared, DEFAULTS)
    assert [type(step) for step in plan.steps] == [Apply]
    owners = plan.steps[0].body["metadata"]["ownerReferences"]  # type: ignore[union-attr]  # asserted
    assert [owner["name"] for owner in owners] == ["m", "other"]
    alone = replace(shared, sharers=[OWNER])
    assert [type(step) for step in plan_model(alone, DEFAULTS).steps] == [Delete, Create]


def test_what_is_not_wanted_any_more_goes() -> None:
    """Jobs of an earlier source are deleted with exactly the uid that was seen."""
    old = {"metadata": {"name": "pull-old", "uid": "x"}}
    plan = plan_model(replace(start(), stale_jobs=[old]), DEFAULTS)
    assert plan.steps[0] == Delete(JOBS, "pull-old", "x")


def test_a_claim_is_made_again_when_it_has_gone_under_a_pull() -> None:
    """Else the pull's pod would wait for it for ever."""
    seen = after(start(), plan_model(start(), DEFAULTS))
    seen = replace(seen, resolve=job_ended(seen.resolve, "resolve", FOUND))
    seen = after(seen, plan_model(seen, DEFAULTS))
    plan = plan_model(replace(seen, claim=None), DEFAULTS)
    assert [step.resource for step in plan.steps] == [CLAIMS]


def test_a_former_models_deployment_is_waited_for() -> None:
    """Its pods do not count as ours, nothing is applied over it, and we look again soon."""
    seen = walk(start())
    old = copy.deepcopy(seen.deployment)
    assert isinstance(old, dict)
    old["metadata"]["ownerReferences"][0]["uid"] = "former"
    plan = plan_model(replace(seen, deployment=old), DEFAULTS)
    assert plan.steps == []
    assert plan.requeue_after == 2
    assert plan.status["phase"] == "Starting"


def test_events_tell_transitions_only() -> None:
    """One for each reason, Warning where somebody has to act."""
    first = plan_model(start(), DEFAULTS)
    assert [(event.type, event.reason) for event in first.events] == [("Normal", "Resolving")]
    seen = after(start(), first)
    assert plan_model(seen, DEFAULTS).events == []
