"""Claims that users make, looked at on a real API server."""

from typing import Any

import pytest

from modelrunner_protocol.wire import Outcome
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

MODEL: dict[str, Any] = {"source": {"http": {"url": "http://files.example/m.gguf"}}}
SHARED: dict[str, Any] = {"cache": {"existingClaim": "shared"}}


def said(model: Object, kind: str) -> tuple[str, str]:
    """Reason and message of a condition."""
    found = condition(model, kind)
    assert found is not None, model["status"]
    return found["reason"], found["message"]


def jobs(bench: Bench) -> list[str]:
    """The names of all Jobs without their keys."""
    found = bench.api.list("batch/v1", "Job", bench.namespace)
    return [job["metadata"]["name"].split("-")[0] for job in found]


async def test_a_claim_that_is_not_there_is_told_at_once(bench: Bench) -> None:
    """No pod hangs for it; the Model goes on by itself once somebody has made it."""
    bench.put("ModelRunner", "default", SHARED)
    bench.put("Model", "m", MODEL)
    model = await bench.until_still("m")
    reason, message = said(model, "Stalled")
    assert reason == "InvalidConfiguration"
    assert message.startswith("spec.cache.existingClaim of ModelRunner default names")
    assert "PersistentVolumeClaim shared, which does not exist in the namespace" in message
    assert jobs(bench) == []
    assert await bench.once("m") == 15
    before = written()
    await bench.once("m")
    assert written() == before
    bench.claim("shared")
    assert (await bench.until_still("m"))["status"]["phase"] == "Resolving"
    assert jobs(bench) == ["resolve"]


async def test_what_a_shared_claim_holds_is_not_pulled(bench: Bench) -> None:
    """The resolve has it mounted and answers from it; the Deployment follows without another pod."""
    bench.claim("shared")
    bench.put("ModelRunner", "default", SHARED)
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT, cached=True), exit_code=0)
    model = await bench.until_still("m")
    assert said(model, "Cached") == ("Cached", "93.8 MiB on PersistentVolumeClaim shared")
    assert jobs(bench) == []
    bench.make_ready()
    assert (await bench.until_still("m"))["status"]["phase"] == "Ready"


async def test_a_claim_that_only_can_be_read(bench: Bench) -> None:
    """Nothing is pulled onto it: what it lacks is told, looked for again, and then served."""
    bench.claim("shared", "ReadOnlyMany")
    bench.put("ModelRunner", "default", SHARED)
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    reason, message = said(await bench.until_still("m"), "Cached")
    assert reason == "PullFailed"
    assert "runnerd import" in message
    assert "Attempt 1 failed; the next is at" in message
    assert jobs(bench) == ["resolve"]
    first = bench.pod_of("resolve")["metadata"]["name"]
    bench.offset += 60
    await bench.until_still("m")
    bench.pod_of("resolve", other_than=first)
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT, cached=True), exit_code=0)
    await bench.until_still("m")
    template = bench.must("apps/v1", "Deployment", "m")["spec"]["template"]
    volume = next(one for one in template["spec"]["volumes"] if one["name"] == "cache")
    assert volume["persistentVolumeClaim"] == {"claimName": "shared", "readOnly": True}
    assert "affinity" not in template["spec"]
