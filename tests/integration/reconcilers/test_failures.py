"""Pulls that fail, names that are taken, and sources that are shared."""

from typing import Any

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import (
    HttpSource,
    Outcome,
    Progress,
    PullPhase,
    Source,
)
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import (
    PATIENCE,
    Bench,
    condition,
    written,
)
from tests.integration.reconcilers.test_changes import says
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT, container, now

pytestmark = pytest.mark.control_plane

URL = "http://files.example/m.gguf"
KEY = artifact_key(Source(http=HttpSource(url=URL)))
MODEL: dict[str, Any] = {"source": {"http": {"url": URL}}}


def job(bench: Bench, stage: str) -> Object:
    """The Job of a stage."""
    return bench.must("batch/v1", "Job", f"{stage}-{KEY}")


async def resolved(bench: Bench, runner: dict[str, Any] | None = None) -> None:
    """A Model whose pull Job was just made."""
    bench.put("ModelRunner", "default", runner or {})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")


async def test_a_failure_that_may_pass_is_tried_again(bench: Bench) -> None:
    """The next try has its time in the message, and a new Job that says which try it is."""
    await resolved(bench)
    first = job(bench, "pull")["metadata"]["uid"]
    failure = Outcome(reason=Reason.PULL_FAILED, message="the server answered 503", retryable=True)
    bench.end_pod("pull", failure, exit_code=1)
    bench.stop_clock()
    again = await bench.once("m")
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "PullFailed")
    assert says(model, "Reconciling") == ("True", "PullFailed")
    message = condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    assert "the server answered 503. Attempt 1 failed; the next is at 20" in message
    assert again is not None
    assert 0 < again <= 10
    bench.offset = 11
    model = await bench.until_still("m")
    assert says(model, "Reconciling") == ("True", "Pulling")
    second = job(bench, "pull")
    assert second["metadata"]["uid"] != first
    assert second["metadata"]["annotations"]["modelrunner.dev/attempt"] == "2"


async def test_a_failure_that_stays_waits_for_the_user(bench: Bench) -> None:
    """A 404 is not tried again by itself; deleting the Job tries again."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    failure = Outcome(reason=Reason.PULL_FAILED, message="404 Not Found: change spec.source")
    bench.end_pod("resolve", failure, exit_code=1)
    model = await bench.until_still("m")
    assert says(model, "Stalled") == ("True", "PullFailed")
    assert f"delete Job resolve-{KEY}" in condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    bench.offset = 100_000
    before = written()
    assert await bench.once("m") is None
    assert written() == before
    bench.api.delete("batch/v1", "Job", f"resolve-{KEY}", bench.namespace)
    model = await bench.until_still("m")
    assert says(model, "Reconciling") == ("True", "Resolving")


async def test_progress_is_told_while_it_runs(bench: Bench) -> None:
    """status.download follows the pull pod, and goes when the pull is done."""
    await resolved(bench)
    bench.set_status(
        bench.pod_of("pull"),
        {
            "phase": "Running",
            "podIP": "127.0.0.9",
            "podIPs": [{"ip": "127.0.0.9"}],
            "containerStatuses": [container("pull", state={"running": {"startedAt": now()}})],
        },
    )
    bench.probe.pull = Progress(
        phase=PullPhase.DOWNLOADING,
        completed_bytes=42_000_000,
        total_bytes=98_400_000,
        bytes_per_second=12_700_000.0,
        eta_seconds=4.4,
    )
    assert await bench.once("m") == 2
    download = bench.model("m")["status"]["download"]
    assert download["percent"] == 42
    assert download["progress"] == "42% 12.1 MiB/s ETA 4s"
    bench.probe.pull = None
    await bench.once("m")
    assert bench.model("m")["status"]["download"] == download
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    assert "download" not in (await bench.until_still("m"))["status"]


async def test_a_cache_that_is_too_small_is_told_before_the_pull(bench: Bench) -> None:
    """Both numbers and the mend are in the message; a larger size starts the pull."""
    await resolved(bench, {"cache": {"size": "50Mi"}})
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "CacheTooSmall")
    message = condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    assert "50Mi" in message
    assert "93.8 MiB" in message
    assert "168Mi" in message
    assert bench.api.list("v1", "PersistentVolumeClaim", bench.namespace) == []
    bench.put("ModelRunner", "default", {"cache": {"size": "200Mi"}})
    await bench.until_still("m")
    # What decides about the Job has changed, so the source is looked at once more.
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    claim = bench.must("v1", "PersistentVolumeClaim", f"model-cache-{KEY}")
    assert claim["spec"]["resources"]["requests"]["storage"] == "200Mi"


async def test_a_strangers_deployment_is_never_touched(bench: Bench) -> None:
    """NameConflict, and the other Deployment stays as it is."""
    labels = {"app": "theirs"}
    bench.api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "m", "namespace": bench.namespace},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        }
    )
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    before = bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"]
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "NameConflict")
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["generation"] == before
    assert await bench.once("m") == 60
    bench.api.delete("apps/v1", "Deployment", "m", bench.namespace)
    wait_until(
        "the Deployment is gone",
        lambda: bench.api.get("apps/v1", "Deployment", "m", bench.namespace) is None,
    )
    assert says(await bench.until_still("m"), "Reconciling") == ("True", "Resolving")


async def test_an_alias_belongs_to_the_older_model(bench: Bench) -> None:
    """The younger Model says so until the older one lets go; nothing else about it changes."""
    bench.put("ModelRunner", "default", {})
    older = bench.put("Model", "older", MODEL | {"aliases": ["gpt"]})
    wait_until("another second", lambda: now() != older["metadata"]["creationTimestamp"])
    bench.put("Model", "younger", MODEL | {"aliases": ["gpt"]})
    model = await bench.until_still("younger")
    assert says(model, "Ready") == ("False", "Resolving")
    assert says(model, "NameConflict") == ("True", "NameConflict")
    told = condition(model, "NameConflict")
    assert told is not None
    assert f"'gpt' goes to {bench.namespace}/older" in told["message"]
    assert condition(await bench.until_still("older"), "NameConflict") is None
    bench.put("Model", "older", MODEL)
    assert condition(await bench.until_still("younger"), "NameConflict") is None


async def test_equal_sources_are_pulled_once(bench: Bench) -> None:
    """Two Models share Jobs and claim; a third that comes later finds the weights."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.put("Model", "n", MODEL)
    await bench.until_still("n")
    owners = job(bench, "resolve")["metadata"]["ownerReferences"]
    assert sorted(owner["name"] for owner in owners) == ["m", "n"]
    await bench.cached("m")
    model = await bench.until_still("n")
    assert model["status"]["phase"] == "Starting"
    for name in ("m", "n"):
        bench.api.delete("modelrunner.dev/v1alpha1", "Model", name, bench.namespace)
    wait_until(
        "both Deployments are collected",
        lambda: bench.api.list("apps/v1", "Deployment", bench.namespace) == [],
        seconds=PATIENCE,
    )
    bench.put("Model", "third", MODEL)
    model = await bench.until_still("third")
    assert model["status"]["phase"] == "Starting"
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []


async def test_retention_decides_who_owns_the_claim(bench: Bench) -> None:
    """Delete: every Model that shares it. Retain again: nobody."""
    bench.put("ModelRunner", "default", {"cache": {"retention": "Delete"}})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    bench.put("Model", "n", MODEL)
    await bench.until_still("n")
    claim = bench.must("v1", "PersistentVolumeClaim", f"model-cache-{KEY}")
    owners = claim["metadata"]["ownerReferences"]
    assert sorted(owner["name"] for owner in owners) == ["m", "n"]
    bench.put("ModelRunner", "default", {"cache": {"retention": "Retain"}})
    await bench.until_still("m")
    claim = bench.must("v1", "PersistentVolumeClaim", f"model-cache-{KEY}")
    assert "ownerReferences" not in claim["metadata"]


async def test_a_model_that_came_back_waits_for_its_former_self(bench: Bench) -> None:
    """A Deployment of the deleted Model of the same name is left to the collector."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    old = bench.must("apps/v1", "Deployment", "m")["metadata"]["uid"]
    bench.api.delete("modelrunner.dev/v1alpha1", "Model", "m", bench.namespace)
    bench.put("Model", "m", MODEL)

    await bench.once("m")
    wait_until(
        "the old Deployment is collected",
        lambda: (
            (bench.api.get("apps/v1", "Deployment", "m", bench.namespace) or {})
            .get("metadata", {})
            .get("uid")
            != old
        ),
        seconds=PATIENCE,
    )
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Starting"
    assert bench.must("apps/v1", "Deployment", "m")["metadata"]["uid"] != old
