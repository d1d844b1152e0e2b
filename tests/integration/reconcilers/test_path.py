"""From a Model to a ready pod, stage by stage, on a real API server."""

import pytest

from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import HttpSource, Outcome, RunnerState, RunnerStatus, Source
from tests.integration.reconcilers.bench import (
    ARTIFACT,
    Bench,
    condition,
    container,
    now,
    written,
)

pytestmark = pytest.mark.control_plane

URL = "http://files.example/m.gguf"
KEY = artifact_key(Source(http=HttpSource(url=URL)))
MODEL = {"source": {"http": {"url": URL}}}


def make_ready(bench: Bench) -> None:
    """The runner pod becomes ready, and the Deployment sees it."""
    pod = bench.pod_of("runner")
    bench.set_status(
        pod,
        {
            "phase": "Running",
            "podIP": "127.0.0.9",
            "podIPs": [{"ip": "127.0.0.9"}],
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()},
                {"type": "Ready", "status": "True", "lastTransitionTime": now()},
            ],
            "containerStatuses": [
                container("runner", ready=True, state={"running": {"startedAt": now()}})
            ],
        },
    )
    bench.rolled_out("m")


async def test_from_source_to_ready(bench: Bench) -> None:
    """Each stage leaves its objects and tells its reason, and at rest nothing is written."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
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

    started = bench.clock()
    bench.probe.status = RunnerStatus(
        state=RunnerState.READY,
        started_at=started,
        engine_ready_at=started + 0.3,
        warmed_at=started + 0.4,
    )
    make_ready(bench)
    model = await bench.until_still("m")
    assert model["status"]["phase"] == "Ready"
    assert [one["type"] for one in model["status"]["conditions"]] == ["Ready", "Cached"]
    assert model["status"]["startup"]["engineSeconds"] == 0.3
    assert model["status"]["artifact"]["size"] == "93.8 MiB"

    before = written()
    assert await bench.once("m") is None
    bench.restart()
    assert await bench.once("m") is None
    assert written() == before
