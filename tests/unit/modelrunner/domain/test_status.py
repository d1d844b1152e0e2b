"""The status value."""

from dataclasses import replace
from typing import Any

from modelrunner.api.v1alpha1 import Model
from modelrunner.domain.cache import CacheDecision, JobWish
from modelrunner.domain.conditions import cached, not_cached
from modelrunner.domain.decision import World, decide
from modelrunner.domain.pods import look
from modelrunner.domain.problem import Problem
from modelrunner.domain.status import model_status, runner_status, was_settled
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from modelrunner_protocol.wire import Artifact, Progress, PullPhase
from tests.unit.modelrunner.domain.pod_json import NOW, RUNNING, container, deployment, pod

ARTIFACT = Artifact(
    format="gguf",
    size_bytes=98_400_000,
    files=(),
    quantization="Q4_1",
    abilities=("tools",),
    revision="c0ffee",
    memory_bytes=275_000_000,
)
WELL = World(
    now=NOW,
    endpoint="http://m.ml.svc:80",
    problem=None,
    cache=CacheDecision(verdict=cached("x"), complete=True, artifact=ARTIFACT),
    deployment=deployment(),
    pods=look(
        [
            pod(
                conditions={"PodScheduled": "True", "Ready": "True"},
                containers=[container(RUNNING, ready=True)],
            )
        ]
    ),
)
PULLING = replace(
    WELL,
    cache=CacheDecision(verdict=not_cached(Reason.PULLING, "x"), artifact=ARTIFACT),
    deployment=None,
    pods=look([]),
)
HALF = Progress(
    phase=PullPhase.DOWNLOADING,
    completed_bytes=50,
    total_bytes=100,
    bytes_per_second=12.6,
    eta_seconds=80.4,
)


def status_of(
    world: World, old: dict[str, Any] | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The status that would be written over `old`."""
    model = {"metadata": {"generation": 3}, "status": old or {}}
    found = model_status(world, decide(world), model, engine="llama.cpp", progress=progress)
    spec = {"source": {"http": {"url": "http://h/m"}}}
    Model.model_validate({"metadata": {}, "spec": spec, "status": found})
    return found


def test_a_ready_model() -> None:
    """Everything a user looks for, and nothing that is not known."""
    found = status_of(WELL)
    assert found["phase"] == "Ready"
    assert found["observedGeneration"] == 3
    assert found["endpoint"] == "http://m.ml.svc:80"
    assert found["artifact"] == {
        "format": "gguf",
        "sizeBytes": 98_400_000,
        "size": "93.8 MiB",
        "quantization": "Q4_1",
        "abilities": ["tools"],
        "revision": "c0ffee",
        "memoryBytes": 275_000_000,
        "memory": "262.3 MiB",
    }
    assert (found["replicas"], found["readyReplicas"]) == (1, 1)
    assert found["engine"] == "llama.cpp"
    assert "download" not in found


def test_a_second_look_changes_nothing() -> None:
    """At rest the value is the same, whatever the time."""
    first = status_of(WELL)
    assert was_settled(first)
    assert status_of(replace(WELL, now=NOW + 999), first) == first


def test_the_cold_start_is_measured_once() -> None:
    """At the moment of readiness; a later restart of the operator keeps it."""
    measured = RunnerStatus(state=RunnerState.READY, started_at=NOW - 27, engine_ready_at=NOW - 26)
    first = status_of(replace(WELL, runner_status=measured))
    assert first["startup"]["engineSeconds"] == 1.0
    assert status_of(WELL, first)["startup"] == first["startup"]


def test_a_cold_start_whose_runner_answers_late() -> None:
    """It gave no answer in the moment of readiness: its stages are told with its next one, once."""
    measured = RunnerStatus(state=RunnerState.READY, started_at=NOW - 27, engine_ready_at=NOW - 26)
    first = status_of(WELL)
    assert "engineSeconds" not in first["startup"]
    later = status_of(replace(WELL, runner_status=measured), first)
    assert later["startup"]["engineSeconds"] == 1.0
    slower = replace(measured, engine_ready_at=NOW)
    assert status_of(replace(WELL, runner_status=slower), later)["startup"] == later["startup"]


def test_the_download_is_told_while_it_runs() -> None:
    """The last known progress stays when the pull pod does not answer once."""
    first = status_of(PULLING, progress=HALF)
    assert first["download"] == {
        "completedBytes": 50,
        "totalBytes": 100,
        "percent": 50,
        "bytesPerSecond": 13,
        "etaSeconds": 80,
        "progress": "50% 12 B/s ETA 1m20s",
    }
    assert status_of(PULLING, first)["download"] == first["download"]
    assert "download" not in status_of(WELL, first)


def test_a_new_job_has_not_come_anywhere() -> None:
    """What an earlier Job has told is not the progress of the one that follows it."""
    first = status_of(PULLING, progress=HALF)
    assert PULLING.cache is not None
    again = replace(PULLING, cache=replace(PULLING.cache, pull=JobWish.AGAIN))
    assert "download" not in status_of(again, first)


def test_a_problem_keeps_what_was_known() -> None:
    """Without its ModelRunner a Model still tells what it serves."""
    first = status_of(WELL)
    lost = replace(WELL, problem=Problem(Reason.RUNNER_NOT_FOUND, "x"), cache=None)
    found = status_of(lost, first)
    assert found["artifact"] == first["artifact"]
    assert found["endpoint"] == first["endpoint"]


def test_a_runner() -> None:
    """Ready with its counts, or Stalled with the sentence."""
    runner = {"metadata": {"generation": 2}}
    good = runner_status(runner, None, models=3, ready_models=1, now=NOW)
    assert [one["type"] for one in good["conditions"]] == ["Ready"]
    assert (good["models"], good["readyModels"]) == (3, 1)
    problem = Problem(Reason.INVALID_CONFIGURATION, "x")
    bad = runner_status(runner, problem, models=0, ready_models=0, now=NOW)
    assert [(one["type"], one["status"]) for one in bad["conditions"]] == [
        ("Ready", "False"),
        ("Stalled", "True"),
    ]
