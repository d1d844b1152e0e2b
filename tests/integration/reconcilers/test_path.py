"""From a Model to a ready pod, stage by stage, on a real API server."""

from typing import Any

import pytest

from modelrunner.domain.scaling import POLL
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import HttpSource, OciSource, Outcome, Source
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

URL = "http://files.example/m.gguf"
KEY = artifact_key(Source(http=HttpSource(url=URL)))
MODEL = {"source": {"http": {"url": URL}}}


async def test_from_source_to_ready(bench: Bench) -> None:
    """Each stage leaves its objects and tells its reason, and at rest nothing is written."""
    # Pods that wait for long are told of, in one more write.
    bench.stop_clock()
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    first_write, first_status = written(), written("patch", "models.modelrunner.dev")
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Resolving"
    assert condition(model, "Reconciling")
    job = bench.must("batch/v1", "Job", f"resolve-{KEY}")
    assert job["spec"]["backoffLimit"] == 0

    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Pulling"
    claim = bench.must("v1", "PersistentVolumeClaim", f"model-cache-{KEY}")
    assert claim["spec"]["resources"]["requests"]["storage"] == "168Mi"
    assert "ownerReferences" not in claim["metadata"]

    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Starting"
    assert condition(model, "Cached")["status"] == "True"  # type: ignore[index]  # asserted
    deployment = bench.must("apps/v1", "Deployment", "m")
    assert deployment["spec"]["replicas"] == 1
    assert bench.must("v1", "Service", "m")["spec"]["ports"][0]["port"] == 80
    claim = bench.must("v1", "PersistentVolumeClaim", f"model-cache-{KEY}")
    assert claim["metadata"]["annotations"]["modelrunner.dev/complete"] == "true"
    assert bench.api.get("batch/v1", "Job", f"pull-{KEY}", bench.namespace) is None

    bench.probe.status = _warmed(bench.clock())
    bench.make_ready()
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Ready"
    assert [one["type"] for one in model["status"]["conditions"]] == ["Ready", "Cached"]
    assert model["status"]["startup"]["engineSeconds"] == 0.3
    assert model["status"]["artifact"]["size"] == "93.8 MiB"

    # Four stages, a status and an event each, and one more event for what was pulled; two Jobs made
    # and deleted; the claim twice, the Deployment and the Service once.
    assert written("patch", "models.modelrunner.dev") - first_status == 4
    assert written() - first_write == 17
    before = written()
    assert await bench.once("m") == POLL
    bench.restart()
    assert await bench.once("m") == POLL
    assert written() == before


async def test_credentials_are_the_way_in(bench: Bench) -> None:
    """A refused artifact is looked at again as soon as its Model names a Secret."""
    oci = {"oci": {"reference": "r.example.com/a/b"}}
    key = artifact_key(Source(oci=OciSource(reference="r.example.com/a/b:latest")))
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", {"source": oci})
    await bench.until_still("m")
    refused = Outcome(reason=Reason.PULL_FAILED, message="it is private")
    bench.end_pod("resolve", refused, exit_code=1)
    model = await bench.until_still("m")
    assert condition(model, "Stalled")
    bench.put("Model", "m", {"source": oci | {"credentialsSecret": "login"}})
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Resolving"
    job = bench.must("batch/v1", "Job", f"resolve-{key}")
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert [one["secret"]["secretName"] for one in volumes if "secret" in one] == ["login"]


def _warmed(started: float) -> RunnerStatus:
    """What a runner says that was quick."""
    return RunnerStatus(
        state=RunnerState.READY,
        started_at=started,
        engine_ready_at=started + 0.3,
        warmed_at=started + 0.4,
    )


async def test_weights_in_place(bench: Bench) -> None:
    """A file on the user's volume is resolved and served where it lies; nothing is pulled."""
    source = {"persistentVolumeClaim": {"name": "mine", "path": "dir/m.gguf"}}
    mine = bench.claim("mine")
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", {"source": source})
    await bench.until_still("m")
    job = bench.api.list("batch/v1", "Job", bench.namespace)[0]
    assert _claims(job["spec"]["template"]["spec"]) == [{"claimName": "mine", "readOnly": True}]
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Starting"
    deployment = bench.must("apps/v1", "Deployment", "m")
    assert _claims(deployment["spec"]["template"]["spec"]) == [
        {"claimName": "mine", "readOnly": True}
    ]
    assert "/models/dir/m.gguf" in str(deployment["spec"]["template"])
    _untouched(bench, mine)
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    bench.stop_clock()
    await bench.until_still("m")
    bench.restart()
    before = written()
    await bench.once("m")
    assert written() == before


async def test_a_shared_claim(bench: Bench) -> None:
    """With existingClaim the pull fills the user's volume, and the Deployment keeps the result."""
    shared = bench.claim("shared")
    bench.put("ModelRunner", "default", {"cache": {"existingClaim": "shared"}})
    bench.put("Model", "m", MODEL)
    await bench.serving()
    _untouched(bench, shared)
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    bench.put("Model", "n", MODEL)
    model = await bench.until_still("n")
    assert model["status"]["phase"] == "Starting"
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    bench.restart()
    before = written()
    await bench.once("m")
    assert written() == before


def _untouched(bench: Bench, claim: Object) -> None:
    """There is this claim alone, as its user made it."""
    [found] = bench.api.list("v1", "PersistentVolumeClaim", bench.namespace)
    managers = {one["manager"] for one in found["metadata"]["managedFields"]}
    assert found["metadata"]["uid"] == claim["metadata"]["uid"]
    assert "model-runner-operator" not in managers


def _claims(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one
    ]
