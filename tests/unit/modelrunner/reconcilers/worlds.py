"""A world in memory: what a plan does to what was observed, as a server would do it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelrunner.domain.cache import owns_claim
from modelrunner.domain.effective import OperatorDefaults
from modelrunner.domain.objects import name_of
from modelrunner.kube.resources import CLAIMS, DEPLOYMENTS, JOBS, PODS, SERVICES
from modelrunner.reconcilers.observation import JobAndPods, Observation
from modelrunner.reconcilers.plan import Apply, Create, Delete, Patch, Plan, Step
from modelrunner.render.common import Owner
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Artifact, Outcome, WeightsFile
from tests.unit.modelrunner.domain.pod_json import (
    CREATED,
    NOW,
    RUNNING,
    Object,
    container,
    pod,
    terminated,
)
from tests.unit.modelrunner.domain.settings_of import HTTP, settings_of

_JOBS = ("resolve", "pull", "refresh")
DEFAULTS = OperatorDefaults(runner_image="operator/runner:1")
ARTIFACT = Artifact(
    format="gguf",
    size_bytes=10**9,
    files=(WeightsFile(path="m.gguf", size_bytes=10**9),),
    digest="sha256:aa",
)
OWNER = Owner("Model", "m", "u")


def start(spec: dict[str, Any] | None = None, runner: dict[str, Any] | None = None) -> Observation:
    """A Model that was just applied."""
    model = {
        "metadata": {
            "name": "m",
            "namespace": "ml",
            "uid": "u",
            "generation": 1,
            "creationTimestamp": CREATED,
        },
        "spec": spec or HTTP,
    }
    settings = settings_of(spec, runner)
    claim = None if owns_claim(settings) else user_claim("ReadWriteOnce")
    return Observation(now=NOW, model=model, settings=settings, sharers=[OWNER], their_claim=claim)


def user_claim(*modes: str, phase: str = "Bound") -> Object:
    """A claim that a user made, which offers these access modes."""
    return {
        "metadata": {"name": "theirs", "namespace": "ml"},
        "spec": {"accessModes": list(modes)},
        "status": {"phase": phase, "accessModes": list(modes)},
    }


def after(seen: Observation, plan: Plan) -> Observation:
    """The observation that follows once a plan was carried out."""
    for step in plan.steps:
        seen = _after_step(seen, step)
    return replace(seen, model={**seen.model, "status": plan.status})


def job_ended(found: JobAndPods | None, component: str, outcome: Outcome) -> JobAndPods:
    """The Job's pod has ended with these words."""
    assert found is not None
    good = outcome.reason is None
    state = terminated(0 if good else 1, message=encode(outcome))
    status = {"name": component, "image": "i", "ready": False, "state": state}
    ended = pod(f"{component}-1", phase="Succeeded" if good else "Failed", containers=[status])
    ended["metadata"]["labels"]["app.kubernetes.io/component"] = component
    return replace(found, pods=[ended])


def ready_pods() -> Sequence[Object]:
    """One ready runner pod."""
    return [
        pod(
            conditions={"PodScheduled": "True", "Ready": "True"},
            containers=[container(RUNNING, ready=True)],
        )
    ]


def rolled_out(found: Any) -> Object:
    """The Deployment as its controller leaves it."""
    generation = found["metadata"].get("generation", 1)
    return {
        **found,
        "status": {"observedGeneration": generation, "updatedReplicas": 1, "replicas": 1},
    }


def _after_step(seen: Observation, step: Step) -> Observation:
    match step:
        case Delete():
            return _without(seen, step)
        case Create(_, body):
            field = name_of(body).partition("-")[0]
            return _with(seen, field, JobAndPods(job=_stored(body, None)))
        case Apply(resource, body):
            if resource == JOBS:
                return _adopted(seen, body)
            field = {DEPLOYMENTS: "deployment", SERVICES: "service", CLAIMS: "claim"}[resource]
            stored = _stored(body, getattr(seen, field))
            if resource == DEPLOYMENTS:
                seen = replace(seen, recorded_by=[stored])
            return _with(seen, field, stored)
        case Patch(resource, name, _, body) if resource == PODS:
            pods = [_merged(one, body) if name_of(one) == name else one for one in seen.neighbours]
            return replace(seen, neighbours=pods)
        case Patch(resource, _, _, body):
            assert resource == CLAIMS
            return replace(seen, claim=_merged(seen.claim or {}, body))


def _without(seen: Observation, step: Delete) -> Observation:
    if step.resource == CLAIMS:
        others = [one for one in seen.versions if name_of(one) != step.name]
        return replace(seen, versions=others)
    assert step.resource == JOBS
    kept = {
        field: found
        for field in _JOBS
        if (found := getattr(seen, field)) is not None and name_of(found.job) != step.name
    }
    cleared: dict[str, Any] = {**dict.fromkeys(_JOBS), "stale_jobs": ()}
    return replace(seen, **(cleared | kept))


def _merged(old: Any, patch: Any) -> Any:
    """An object after a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    before = dict(old) if isinstance(old, Mapping) else {}
    after_it = before | {key: _merged(before.get(key), value) for key, value in patch.items()}
    return {key: value for key, value in after_it.items() if value is not None}


def _with(seen: Observation, field: str, value: Any) -> Observation:
    changed: dict[str, Any] = {field: value}
    return replace(seen, **changed)


def _adopted(seen: Observation, body: Object) -> Observation:
    for field in ("resolve", "pull"):
        found = getattr(seen, field)
        if found is not None and name_of(found.job) == name_of(body):
            metadata = found.job["metadata"] | body["metadata"]
            seen = _with(seen, field, replace(found, job=found.job | {"metadata": metadata}))
    return seen


def _stored(body: Object, old: Any) -> Object:
    """The object with what a server adds by itself."""
    found = copy.deepcopy(body)
    metadata = found["metadata"]
    metadata["uid"] = old["metadata"]["uid"] if old else f"uid-{metadata['name']}"
    metadata["creationTimestamp"] = CREATED
    changed = old is not None and old.get("spec") != found.get("spec")
    metadata["generation"] = (old["metadata"]["generation"] if old else 0) + (
        1 if changed or old is None else 0
    )
    if found["kind"] == "Deployment":
        found["spec"]["replicas"] = old["spec"]["replicas"] if old else 1
        found["status"] = old.get("status", {}) if old else {}
    return found
