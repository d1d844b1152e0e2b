"""A source that moves to what does not work, on a shared claim, and under other Models."""

import time
from typing import Any

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import RunnerState, RunnerStatus
from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import PATIENCE, Bench, condition
from tests.integration.reconcilers.moving import (
    MODEL,
    A,
    B,
    C,
    claims,
    gone,
    jobs,
    look,
    mounted,
    roll,
    says,
    serve,
    source,
)
from tests.support.pod_statuses import running

pytestmark = pytest.mark.control_plane


async def test_a_pull_that_fails_for_good_leaves_what_serves(bench: Bench) -> None:
    """Told as the newer version's fault with a way back; the next look moves on from it."""
    first = await serve(bench)
    await look(bench, "now", B)
    broken = Outcome(reason=Reason.PULL_FAILED, message="wrong digest", retryable=False)
    bench.end_pod("pull", broken, exit_code=1)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("True", "Ready")
    assert says(model, "Stalled") == ("True", "PullFailed")
    told = condition(model, "Stalled")
    assert told is not None
    assert "a newer version of the weights cannot be used: wrong digest" in told["message"]
    assert mounted(bench) == first
    model = await look(bench, "again", C)
    assert says(model, "Reconciling") == ("True", "Pulling")
    assert jobs(bench) == ["pull", "refresh"]
    await roll(bench, C)
    await gone(bench, first)
    assert claims(bench) == [mounted(bench)]
    assert jobs(bench) == []


async def test_an_engine_that_fails_leaves_the_former_pod_and_its_claim(bench: Bench) -> None:
    """The old pod serves on and its claim stays, for as long as it takes."""
    first = await serve(bench)
    # Which pod is newer is known by the second.
    since = time.time()
    wait_until("the clock to go on", lambda: int(time.time()) > int(since), seconds=PATIENCE)
    await look(bench, "now", B)
    bench.end_pod("pull", Outcome(artifact=B), exit_code=0)
    await bench.until_still("m")
    second = mounted(bench)
    pod = bench.runner_pod()
    bench.bind(pod)
    bench.set_status(pod, running("runner", "127.0.0.10"))
    bench.probe.status = RunnerStatus(
        state=RunnerState.FAILED,
        started_at=bench.clock(),
        reason=Reason.ENGINE_FAILED,
        message="the engine does not know this architecture",
    )
    model = await bench.until_still("m")
    assert says(model, "Stalled") == ("True", "EngineFailed")
    told = condition(model, "Stalled")
    assert told is not None
    assert "a newer version of the weights cannot be used" in told["message"]
    assert says(model, "Ready") == ("True", "Ready")
    assert claims(bench) == sorted([first, second])
    bench.offset += 300
    await bench.until_still("m")
    assert claims(bench) == sorted([first, second])


async def test_versions_lie_side_by_side_on_a_shared_claim(bench: Bench) -> None:
    """The folder changes, the claim stays; a further Model begins with what is served."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shared", "namespace": bench.namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    bench.api.create(claim)
    bench.put("ModelRunner", "default", {"cache": {"existingClaim": "shared"}})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=A), exit_code=0)
    await bench.until_still("m")
    bench.end_pod("pull", Outcome(artifact=A), exit_code=0)
    await bench.until_still("m")
    bench.make_ready()
    await bench.until_still("m")
    key = weights(bench)
    await look(bench, "now", B)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("True", "Ready")
    assert weights(bench) == key
    await roll(bench, B)
    assert mounted(bench) == "shared"
    assert weights(bench) == source(bench)["key"] != key
    assert (claims(bench), jobs(bench)) == (["shared"], [])
    assert "superseded" not in source(bench)
    bench.put("Model", "new", MODEL)
    await bench.until_still("new")
    assert weights(bench, "new") == weights(bench)
    assert jobs(bench) == []


def weights(bench: Bench, name: str = "m") -> str:
    """The folder in a runner's configuration."""
    pod = bench.must("apps/v1", "Deployment", name)["spec"]["template"]["spec"]
    config = pod["containers"][0]["env"][0]["value"]
    folder: str = config.partition('"weights":"/models/')[2].partition("/")[0]
    return folder


async def test_retention_delete_holds_for_each_version(bench: Bench) -> None:
    """The newer claim goes with its Model, too."""
    first = await serve(bench, runner={"cache": {"retention": "Delete"}})
    await look(bench, "now", B)
    await roll(bench, B)
    await gone(bench, first)
    found = bench.must("v1", "PersistentVolumeClaim", mounted(bench))
    uid = bench.model("m")["metadata"]["uid"]
    assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == [uid]


async def test_a_drafts_newer_version_rolls_who_drafts_with_it(bench: Bench) -> None:
    """Not before it is whole; and the former one goes when neither mounts it any more."""
    first = await serve(bench)
    large: dict[str, Any] = {
        "source": {"oci": {"reference": "registry.example/team/large:v1"}},
        "config": {"speculative": {"draftModel": "m"}},
    }
    bench.put("Model", "large", large)
    await bench.until_still("large")
    bench.end_pod("resolve", Outcome(artifact=C), exit_code=0)
    await bench.until_still("large")
    bench.end_pod("pull", Outcome(artifact=C), exit_code=0)
    await bench.until_still("large")
    assert draft(bench) == first
    bench.make_ready("large", address="127.0.0.20")
    await bench.until_still("large")
    await look(bench, "now", B)
    model = await bench.until_still("large")
    assert draft(bench) == first
    assert says(model, "Reconciling") is None
    await roll(bench, B)
    second = mounted(bench)
    await bench.until_still("m")
    assert first in claims(bench)
    await bench.until_still("large")
    assert draft(bench) == second
    bench.make_ready("large", address="127.0.0.21")
    await bench.until_still("large")
    wait_until("one pod of large", lambda: pods_of(bench, "large") == 1, seconds=PATIENCE)
    bench.offset += 300
    await gone(bench, first)


def draft(bench: Bench) -> str:
    """The claim of the draft in the Deployment of large."""
    volumes = bench.must("apps/v1", "Deployment", "large")["spec"]["template"]["spec"]["volumes"]
    found = next(one for one in volumes if one["name"] not in {"cache", "tmp"})
    name: str = found["persistentVolumeClaim"]["claimName"]
    return name


def pods_of(bench: Bench, name: str) -> int:
    """How many runner pods a Model has."""
    chosen = f"modelrunner.dev/model={name},app.kubernetes.io/component=runner"
    return len(bench.api.list("v1", "Pod", bench.namespace, label_selector=chosen))
