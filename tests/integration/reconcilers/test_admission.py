"""Pods and claims that the API server does not let in: told at once, in its words."""

from collections.abc import Callable
from typing import Any

import pytest

from modelrunner.kube.errors import Unavailable
from modelrunner.kube.resources import EVENTS, Resource
from modelrunner_protocol.wire import Outcome
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.integration.reconcilers.moving import ask, serve
from tests.integration.reconcilers.test_upkeep import MODEL, events
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane


def quota(bench: Bench, **hard: str) -> None:
    """A quota that counts already."""
    meta = {"name": "q", "namespace": bench.namespace}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    bench.api.create(body)
    bench.wait_for_pods(lambda: "hard" in (bench.must("v1", "ResourceQuota", "q")["status"] or {}))


def restricted(bench: Bench) -> None:
    """The namespace admits pods of the restricted standard only."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": bench.namespace, "labels": labels}
    bench.api.merge({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})


def no_cpu(bench: Bench) -> None:
    """A quota asks for what the pods of Jobs do not say."""
    quota(bench, **{"limits.cpu": "4"})


def no_pods(bench: Bench) -> None:
    """A quota that is used up."""
    quota(bench, pods="0")


def as_root(bench: Bench) -> dict[str, Any]:
    """A podTemplate that such a namespace does not admit."""
    return {"podTemplate": {"spec": {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}}}


def said(model: Object) -> tuple[str, str]:
    """Reason and message of Stalled."""
    found = condition(model, "Stalled")
    assert found is not None, model["status"]
    return found["reason"], found["message"]


@pytest.mark.parametrize(
    ("hinder", "spec", "reason", "words"),
    [
        (no_cpu, {}, "InvalidConfiguration", "failed quota: q: must specify limits.cpu"),
        (no_pods, {}, "Unschedulable", "exceeded quota: q, requested: pods=1"),
        (restricted, as_root, "InvalidConfiguration", 'violates PodSecurity "restricted:latest"'),
    ],
)
async def test_a_job_that_may_not_have_a_pod(
    bench: Bench,
    hinder: Callable[[Bench], None],
    spec: Any,
    reason: str,
    words: str,
) -> None:
    """The server's sentence is on the Model within seconds, once, and nothing is written after it."""
    hinder(bench)
    bench.put("ModelRunner", "default", {"keepAlive": "9m"} | (spec(bench) if spec else {}))
    bench.put("Model", "m", MODEL)
    await bench.once("m")
    bench.wait_for_pods(lambda: bool(events(bench, "FailedCreate")))
    bench.offset += 2
    model = await bench.until_still("m")
    assert said(model)[0] == reason
    assert words in said(model)[1]
    assert "Mend: " in said(model)[1]
    # Each further try of the controller tells it anew, with another name for the pod.
    before = written()
    bench.wait_for_pods(lambda: len(events(bench, "FailedCreate")) > 1)
    await bench.once("m")
    assert written() == before


async def test_the_way_is_free_again(bench: Bench) -> None:
    """Nobody has to touch the Model: the controller tries again, and its pod is seen."""
    no_pods(bench)
    bench.put("ModelRunner", "default", {"keepAlive": "9m"})
    bench.put("Model", "m", MODEL)
    await bench.once("m")
    bench.wait_for_pods(lambda: bool(events(bench, "FailedCreate")))
    bench.offset += 2
    assert said(await bench.until_still("m"))[0] == "Unschedulable"
    bench.api.delete("v1", "ResourceQuota", "q", bench.namespace)
    bench.pod_of("resolve")
    model = await bench.until_still("m")
    assert condition(model, "Stalled") is None
    assert model["status"]["phase"] == "Resolving"


async def test_a_claim_that_a_quota_refuses(bench: Bench) -> None:
    """Told with the numbers; the cache is not said to be on its way, and later it is tried again."""
    quota(bench, **{"requests.storage": "10Mi"})
    bench.put("ModelRunner", "default", {"keepAlive": "9m"})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    reason, message = said(model)
    assert reason == "InvalidConfiguration"
    assert "requested: requests.storage=168Mi" in message
    assert "Mend: raise the quota of the namespace" in message
    kept = condition(model, "Cached")
    assert kept is not None
    assert kept["message"] == message
    assert await bench.once("m") == 300
    bench.api.delete("v1", "ResourceQuota", "q", bench.namespace)
    bench.offset += 301
    assert (await bench.until_still("m"))["status"]["phase"] == "Pulling"


async def test_a_storage_class_that_does_not_exist(bench: Bench) -> None:
    """What the controller of claims says is on the Model, and stays the same sentence."""
    cache = {"storageClassName": f"{bench.namespace}-none"}
    bench.put("ModelRunner", "default", {"cache": cache})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bench.pod_of("pull")
    bench.wait_for_pods(lambda: bool(events(bench, "ProvisioningFailed")))
    bench.offset += 10
    model = await bench.until_still("m")
    kept = condition(model, "Cached")
    assert kept is not None
    assert f'"{bench.namespace}-none" not found' in kept["message"]
    assert "change spec.cache of the ModelRunner and delete the claim" in kept["message"]
    bench.stop_clock()
    before = written()
    await bench.once("m")
    assert written() == before


async def test_a_look_that_may_not_have_a_pod(bench: Bench) -> None:
    """What serves goes on; who asked reads why there is no answer yet, and then it is forgotten."""
    await serve(bench)
    no_pods(bench)
    ask(bench, "now")
    await bench.until_still("m")
    bench.wait_for_pods(lambda: bool(events(bench, "FailedCreate")))
    bench.offset += 2
    model = await bench.until_still("m")
    message = model["status"]["source"]["message"]
    assert message.startswith(
        "a look whether the source has moved waits: the pod may not be created"
    )
    assert "exceeded quota" in message
    assert condition(model, "Stalled") is None
    bench.api.delete("v1", "ResourceQuota", "q", bench.namespace)
    bench.pod_of("resolve")
    assert "source" not in (await bench.until_still("m"))["status"]


async def test_events_that_cannot_be_read_stop_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are words only: without them the state is told as far as it is known."""
    asked = 0

    async def away(resource: Resource, *_: Any, **__: Any) -> Any:
        nonlocal asked
        if resource is not EVENTS:
            return await listed(resource, *_, **__)
        asked += 1
        raise Unavailable(503, "Unavailable", "no events")

    listed = bench.client.list
    monkeypatch.setattr(bench.client, "list", away)
    no_pods(bench)
    bench.put("ModelRunner", "default", {"keepAlive": "9m"})
    for name in ("m", "n"):
        bench.put("Model", name, {"source": {"http": {"url": f"http://files.example/{name}.gguf"}}})
        await bench.once(name)
    bench.stop_clock()
    bench.offset += 35
    for name in ("m", "n"):
        model = await bench.until_still(name)
        assert model["status"]["phase"] == "Resolving"
        assert "has no pod yet" in str(model["status"]["conditions"])
    # One list is for all Models of a namespace.
    assert asked == 1
