"""Retention: what becomes of a cache when its Model goes, or goes on to another source."""

from typing import Any

import pytest

from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import API, PATIENCE, Bench
from tests.integration.reconcilers.test_upkeep import (
    MODEL,
    OTHER,
    claims,
    remove,
    runner_once,
    runner_still,
    unused_since,
)
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

DELETE: dict[str, Any] = {"cache": {"retention": "Delete"}}
RETAIN: dict[str, Any] = {"cache": {"retention": "Retain"}}


def owners(claim: Object) -> list[str]:
    """The Models that own a claim."""
    return sorted(one["name"] for one in claim["metadata"].get("ownerReferences", []))


def old_claim(bench: Bench) -> list[Object]:
    """The claim of the source that was left."""
    return [one for one in claims(bench) if "/m.gguf" in str(one["metadata"]["annotations"])]


async def serving_other(bench: Bench, name: str = "m") -> None:
    """The Model goes on to another source, and its pods follow."""
    bench.put("Model", name, OTHER)
    await bench.until_still(name)
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still(name)
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still(name)
    bench.make_ready(name, address="127.0.0.10")
    await bench.until_still(name)


async def test_delete_when_a_model_goes_on_to_another_source(bench: Bench) -> None:
    """The old cache stays while it serves, and goes when the pods have followed."""
    bench.put("ModelRunner", "default", DELETE)
    bench.put("Model", "m", MODEL)
    await bench.serving()
    bench.put("Model", "m", OTHER)
    await bench.until_still("m")
    await runner_still(bench)
    assert len(old_claim(bench)) == 1
    assert await runner_once(bench) is not None
    await serving_other(bench)
    await runner_still(bench)
    assert old_claim(bench) == []
    (left,) = claims(bench)
    assert owners(left) == ["m"]


async def test_retain_when_a_model_goes_on_to_another_source(bench: Bench) -> None:
    """It is kept, and found again when the source comes back: no Job looks at it or pulls."""
    bench.put("ModelRunner", "default", RETAIN)
    bench.put("Model", "m", MODEL)
    await bench.serving()
    await serving_other(bench)
    await runner_still(bench)
    (left,) = old_claim(bench)
    assert unused_since(left)
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    assert not unused_since(old_claim(bench)[0])


async def test_who_has_gone_on_owns_nothing_of_the_others(bench: Bench) -> None:
    """Of two Models one leaves: the other alone decides, and the cache goes with it."""
    bench.put("ModelRunner", "default", DELETE)
    for name in ("m", "n"):
        bench.put("Model", name, MODEL)
    await bench.cached("m")
    await bench.until_still("n")
    await bench.until_still("m")
    assert owners(old_claim(bench)[0]) == ["m", "n"]
    bench.put("Model", "m", OTHER)
    await bench.until_still("m")
    await runner_still(bench)
    assert owners(old_claim(bench)[0]) == ["n"]
    await bench.until_still("n")
    assert owners(old_claim(bench)[0]) == ["n"]
    bench.api.delete(API, "Model", "n", bench.namespace)
    wait_until(
        "Kubernetes deletes it with its owner", lambda: not old_claim(bench), seconds=PATIENCE
    )


async def test_a_switch_to_delete_on_a_live_claim(bench: Bench) -> None:
    """The Model becomes its owner, and takes it along."""
    bench.put("ModelRunner", "default", RETAIN)
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    assert owners(claims(bench)[0]) == []
    bench.put("ModelRunner", "default", DELETE)
    await bench.until_still("m")
    assert owners(claims(bench)[0]) == ["m"]
    bench.put("ModelRunner", "default", RETAIN)
    await bench.until_still("m")
    assert owners(claims(bench)[0]) == []
    bench.put("ModelRunner", "default", DELETE)
    await bench.until_still("m")
    bench.api.delete(API, "Model", "m", bench.namespace)
    wait_until("the claim goes", lambda: not claims(bench), seconds=PATIENCE)


async def test_a_switch_to_retain_after_the_model_has_gone_on(bench: Bench) -> None:
    """What nobody wants deleted any more loses its owner, who would take it along later."""
    bench.put("ModelRunner", "default", DELETE)
    bench.put("Model", "m", MODEL)
    await bench.serving()
    bench.put("Model", "m", OTHER)
    await bench.until_still("m")
    assert owners(old_claim(bench)[0]) == ["m"]
    bench.put("ModelRunner", "default", RETAIN)
    await bench.until_still("m")
    await runner_still(bench)
    assert owners(old_claim(bench)[0]) == []
    remove(bench)
    await runner_still(bench)
    assert unused_since(old_claim(bench)[0])


async def test_a_switch_to_delete_leaves_the_unused_alone(bench: Bench) -> None:
    """What was retained when its last Model went stays so, but for a ttl."""
    bench.put("ModelRunner", "default", RETAIN)
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    remove(bench)
    await runner_still(bench)
    bench.put("ModelRunner", "default", DELETE)
    found = (await runner_still(bench))["status"]["cache"]
    assert "deletedAfter" not in found["unused"][0]
    assert len(claims(bench)) == 1


async def test_a_changed_runner_decides_anew(bench: Bench) -> None:
    """The Model moves to a ModelRunner that deletes: now the claim goes with it."""
    bench.put("ModelRunner", "default", RETAIN)
    bench.put("ModelRunner", "brief", DELETE)
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    assert owners(claims(bench)[0]) == []
    bench.put("Model", "m", MODEL | {"runner": "brief"})
    await bench.until_still("m")
    (claim,) = claims(bench)
    assert owners(claim) == ["m"]
    assert claim["metadata"]["labels"]["modelrunner.dev/runner"] == "default"
