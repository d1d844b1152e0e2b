"""The whole status value of a Model or ModelRunner, ready to be compared and written."""

from collections.abc import Mapping
from typing import Any

from modelrunner.api.text import format_size
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.cache import JobWish
from modelrunner.domain.conditions import find, merge, not_ready, ready, stalled
from modelrunner.domain.decision import Decision, World
from modelrunner.domain.downloads import download_status
from modelrunner.domain.objects import Object, dig, number
from modelrunner.domain.problem import Problem
from modelrunner.domain.startup import startup_times
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Progress


def model_status(
    world: World,
    decision: Decision,
    model: Object,
    *,
    engine: str | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """`status` of a Model; what is not known now is taken from the previous status or left out."""
    old = _mapping(dig(model, "status"))
    generation = number(model, "metadata", "generation")
    conditions = merge(
        old.get("conditions") or (), decision.verdicts, generation=generation, now=world.now
    )
    deployed = world.deployment is not None or world.changing
    found: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": conditions,
        "phase": str(decision.phase),
        "endpoint": world.endpoint if deployed else None,
        "engine": engine or old.get("engine"),
        "artifact": _artifact(world, old),
        "download": _download(world, progress, old),
        "startup": _startup(world, decision, old),
        "replicas": _replicas(world),
        "readyReplicas": world.pods.ready,
    }
    return {key: value for key, value in found.items() if value is not None}


def runner_status(
    runner: Object,
    problem: Problem | None,
    *,
    models: int,
    ready_models: int,
    cache: dict[str, Any] | None = None,
    now: float,
) -> dict[str, Any]:
    """`status` of a ModelRunner; `cache` is its field of that name."""
    old = _mapping(dig(runner, "status"))
    generation = number(runner, "metadata", "generation")
    if problem is None:
        verdicts = [ready(Reason.READY, "Models can use this ModelRunner")]
    else:
        verdicts = [
            not_ready(problem.reason, problem.message),
            stalled(problem.reason, problem.message),
        ]
    return {
        "observedGeneration": generation,
        "conditions": merge(old.get("conditions") or (), verdicts, generation=generation, now=now),
        "models": models,
        "readyModels": ready_models,
        **({"cache": cache} if cache is not None else {}),
    }


def artifact_status(artifact: Artifact) -> dict[str, Any]:
    """`status.artifact`: what the source turned out to hold."""
    found: dict[str, Any] = {
        "digest": artifact.digest,
        "revision": artifact.revision,
        "format": artifact.format,
        "sizeBytes": artifact.size_bytes,
        "size": format_size(artifact.size_bytes),
        "architecture": artifact.architecture,
        "parameters": artifact.parameters,
        "quantization": artifact.quantization,
        "contextSize": artifact.context_size,
        "abilities": list(artifact.abilities),
        "memoryBytes": artifact.memory_bytes,
        "memory": None if artifact.memory_bytes is None else format_size(artifact.memory_bytes),
    }
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def was_settled(status: Mapping[str, Any]) -> bool:
    """Whether the stored status is that of a Model at rest: ready, and nothing going on."""
    at_rest = find(status, ConditionType.READY)
    return (
        at_rest is not None
        and at_rest.get("status") == "True"
        and find(status, ConditionType.RECONCILING) is None
        and find(status, ConditionType.STALLED) is None
    )


def _artifact(world: World, old: Mapping[str, Any]) -> dict[str, Any] | None:
    if world.cache is None:
        return old.get("artifact")
    return artifact_status(world.cache.artifact) if world.cache.artifact is not None else None


def _download(
    world: World, progress: Progress | None, old: Mapping[str, Any]
) -> dict[str, Any] | None:
    if world.cache is None or world.cache.verdict.reason is not Reason.PULLING:
        return None
    if world.cache.pull in {JobWish.CREATE, JobWish.AGAIN}:
        return None
    before = old.get("download")
    # A pull that did not answer this once has not forgotten how far it was.
    return before if progress is None else download_status(progress, before, now=world.now)


def _startup(world: World, decision: Decision, old: Mapping[str, Any]) -> dict[str, Any] | None:
    settled = decision.headline.reason is Reason.READY
    before = old.get("startup")
    # A runner that did not answer in that moment, as on a busy node, tells its stages later.
    told = was_settled(old) and (world.runner_status is None or "engineSeconds" in (before or {}))
    if settled and not told and world.pods.newest is not None:
        return startup_times(world.pods.newest, world.runner_status) or before
    return before


def _replicas(world: World) -> int | None:
    replicas = dig(world.deployment, "spec", "replicas")
    if isinstance(replicas, int):
        return replicas
    return 1 if world.changing else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
