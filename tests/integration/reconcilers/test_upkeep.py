"""Caches that nobody uses: found, listed, kept for their time, deleted, and never by mistake."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import MODELS
from tests.cluster.control_plane import ControlPlane
from tests.integration.manager.worlds import account, rule
from tests.integration.reconcilers.bench import API, WRITES, Bench, written
from tests.support.kubeapi import KubeApi, Object, Refused

pytestmark = pytest.mark.control_plane

MODEL: dict[str, Any] = {"source": {"http": {"url": "http://files.example/m.gguf"}}}
OTHER: dict[str, Any] = {"source": {"http": {"url": "http://files.example/other.gguf"}}}
WEEK = 7 * 24 * 3600
UNUSED = "modelrunner.dev/unused-since"


def claims(bench: Bench) -> list[Object]:
    """The claims that are there and stay: without the controller a deletion waits for ever."""
    found = bench.api.list("v1", "PersistentVolumeClaim", bench.namespace)
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def unused_since(claim: Object) -> str:
    """Since when nobody uses it, as it says itself; "" for one that is used."""
    return str((claim["metadata"].get("annotations") or {}).get(UNUSED, ""))


async def runner_once(bench: Bench, name: str = "default") -> float | None:
    """One reconcile of a ModelRunner; the requeue it asks for."""
    await bench.look()
    return (await bench.runners.reconcile((bench.namespace, name))).requeue_after


async def runner_still(bench: Bench, name: str = "default") -> Object:
    """Reconcile a ModelRunner until nothing is written any more; the ModelRunner then."""
    for _ in range(6):
        before = written()
        await runner_once(bench, name)
        if written() == before:
            return bench.must(API, "ModelRunner", name)
    raise AssertionError("still writing")


def events(bench: Bench, reason: str) -> list[str]:
    """What was told under a reason."""
    found = bench.api.list("events.k8s.io/v1", "Event", bench.namespace)
    return [event["note"] for event in found if event["reason"] == reason]


def let_go(bench: Bench, name: str) -> None:
    """A claim that is being deleted goes, as it does once no pod uses it."""
    meta = {"name": name, "namespace": bench.namespace, "finalizers": None}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
    try:
        bench.api.merge(body)
    except Refused as refused:
        # Where the controller of claims runs, it may be first.
        if refused.status != 404:
            raise


def remove(bench: Bench, name: str = "m") -> None:
    """Delete a Model with all that Kubernetes' garbage collection would take with it."""
    bench.api.delete(API, "Model", name, bench.namespace)
    bench.api.delete("apps/v1", "Deployment", name, bench.namespace)
    bench.wait_for_pods(lambda: not bench.api.list("v1", "Pod", bench.namespace))


async def abandoned(bench: Bench, cache: dict[str, Any] | None = None) -> Object:
    """A cache whose only Model has gone; the ModelRunner once it has told so."""
    bench.put("ModelRunner", "default", {"cache": cache} if cache else {})
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    remove(bench)
    return await runner_still(bench)


async def test_a_used_cache_is_counted(bench: Bench) -> None:
    """It says whose it is, and the ModelRunner how large all are; a sleeping Model uses its own."""
    bench.put("ModelRunner", "default", {"cache": {"ttl": "1m"}})
    bench.put("Model", "m", MODEL)
    await bench.cached("m")
    (claim,) = claims(bench)
    assert claim["metadata"]["labels"]["modelrunner.dev/runner"] == "default"
    bench.scale("m", 0)
    bench.offset += WEEK
    found = (await runner_still(bench))["status"]["cache"]
    assert (found["claims"], found["unusedClaims"], found["unused"]) == (1, 0, [])
    assert found["size"].endswith("MiB")
    assert not unused_since(claims(bench)[0])


async def test_without_a_ttl_it_is_listed_and_kept(bench: Bench) -> None:
    """The dry run: who is unused since when. Nothing is written while nothing changes."""
    found = (await abandoned(bench))["status"]["cache"]
    (claim,) = claims(bench)
    (unused,) = found["unused"]
    assert unused["claim"] == claim["metadata"]["name"]
    assert unused["source"] == "http://files.example/m.gguf"
    assert unused["since"] == unused_since(claim)
    assert "deletedAfter" not in unused
    assert found["unusedClaims"] == 1
    bench.offset += 10 * WEEK
    before = written()
    assert await runner_once(bench) is None
    bench.restart()
    await runner_once(bench)
    assert written() == before
    assert claims(bench) == [claim]


async def test_after_its_time_it_goes(bench: Bench) -> None:
    """The time is told beforehand and absolute, the deletion in an event with size and source."""
    found = (await abandoned(bench, {"ttl": "168h"}))["status"]["cache"]["unused"][0]
    assert found["deletedAfter"] > found["since"]
    after = await runner_once(bench)
    assert after is not None
    assert WEEK - 60 < after <= WEEK
    bench.offset += WEEK - 60
    await runner_still(bench)
    assert len(claims(bench)) == 1
    bench.offset += 120
    status = (await runner_still(bench))["status"]
    assert claims(bench) == []
    assert "cache" not in status
    (note,) = events(bench, "CacheDeleted")
    assert "of http://files.example/m.gguf, unused for 7d" in note


async def test_a_ttl_that_comes_later_counts_from_the_beginning(bench: Bench) -> None:
    """A ttl is a statement about unused caches, not about the time since it was written."""
    await abandoned(bench)
    bench.offset += 3600
    bench.put("ModelRunner", "default", {"cache": {"ttl": "30m"}})
    await runner_still(bench)
    assert claims(bench) == []


async def test_a_model_that_comes_back_takes_its_cache(bench: Bench) -> None:
    """The mark goes, the time starts anew, and nothing is pulled; an apply leaves marks alone."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3000
    bench.put("Model", "again", MODEL)
    await bench.until_still("again")
    (claim,) = claims(bench)
    assert not unused_since(claim)
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []
    bench.offset += 3000
    await runner_still(bench)
    assert len(claims(bench)) == 1
    remove(bench, "again")
    await runner_still(bench)
    assert unused_since(claims(bench)[0]) > unused_since(claim)


def before_deletion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]
) -> list[str]:
    """Let something happen between the last look of the keeper and its deletion of a claim."""
    real = KubeClient.delete
    seen: list[str] = []

    async def delete(self: KubeClient, *where: Any, **how: Any) -> None:
        if where[0].kind == "PersistentVolumeClaim" and not seen:
            seen.append(where[2])
            await happens()
        await real(self, *where, **how)

    monkeypatch.setattr(KubeClient, "delete", delete)
    return seen


async def test_a_model_between_the_last_look_and_the_deletion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has taken the claim, which is in another state now: the server refuses the deletion."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700

    async def created() -> None:
        bench.put("Model", "again", MODEL)
        await bench.once("again")

    seen = before_deletion(bench, monkeypatch, created)
    await runner_still(bench)
    assert seen
    (claim,) = claims(bench)
    assert not unused_since(claim)
    assert events(bench, "CacheDeleted") == []
    model = await bench.until_still("again")
    assert model["status"]["conditions"][1]["reason"] == "Cached"
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []


async def test_a_model_that_no_watch_has_told_of(bench: Bench) -> None:
    """The cache of watched objects is not believed: the server is asked before a claim goes."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700
    await bench.look()
    bench.put("Model", "again", MODEL)
    again = (await bench.runners.reconcile((bench.namespace, "default"))).requeue_after
    assert again is not None
    assert len(claims(bench)) == 1


async def test_a_claim_of_that_name_is_another_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has deleted it meanwhile and made it anew: that one is not touched."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700
    (old,) = claims(bench)
    meta = old["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "labels")}
    bare = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": kept}

    async def replaced() -> None:
        bench.api.delete("v1", "PersistentVolumeClaim", meta["name"], bench.namespace)
        let_go(bench, meta["name"])
        spec = {key: old["spec"][key] for key in ("accessModes", "resources")}
        bench.api.create(bare | {"spec": spec})

    seen = before_deletion(bench, monkeypatch, replaced)
    await runner_once(bench)
    assert seen
    (new,) = claims(bench)
    assert new["metadata"]["uid"] != meta["uid"]


async def test_a_stranger_who_looks_into_a_cache(bench: Bench) -> None:
    """A pod that is none of ours mounts it: it stays until that pod has ended."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700
    (claim,) = claims(bench)
    bench.api.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "shell", "namespace": bench.namespace},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": "c", "image": "localhost/none"}],
                "volumes": [
                    {
                        "name": "v",
                        "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
                    }
                ],
            },
        }
    )
    again = await runner_once(bench)
    assert again is not None
    assert len(claims(bench)) == 1
    bench.api.delete("v1", "Pod", "shell", bench.namespace)
    bench.wait_for_pods(lambda: not bench.api.list("v1", "Pod", bench.namespace))
    await runner_still(bench)
    assert claims(bench) == []


async def test_a_claim_of_older_operators_has_an_heir(bench: Bench) -> None:
    """It names no ModelRunner: `default` looks after it; and so of a ModelRunner that is gone."""
    bench.put("ModelRunner", "gpu", {})
    bench.put("ModelRunner", "default", {"cache": {"ttl": "1h"}})
    bench.put("Model", "m", MODEL | {"runner": "gpu"})
    await bench.cached("m")
    remove(bench)
    assert (await runner_still(bench, "gpu"))["status"]["cache"]["unusedClaims"] == 1
    assert "cache" not in (await runner_still(bench))["status"]
    bench.api.delete(API, "ModelRunner", "gpu", bench.namespace)
    assert (await runner_still(bench))["status"]["cache"]["unusedClaims"] == 1
    bench.offset += 3700
    await runner_still(bench)
    assert claims(bench) == []


async def test_what_nobody_can_read_protects_all(bench: Bench) -> None:
    """A Model of a newer schema may refer to any cache: none is judged while there is one."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700
    await bench.look()
    strange = {
        "apiVersion": API,
        "kind": "Model",
        "metadata": {"name": "new", "namespace": bench.namespace, "uid": "u"},
        "spec": {"source": {"carrierPigeon": {}}},
    }
    bench.store.put(MODELS, strange)
    await bench.runners.reconcile((bench.namespace, "default"))
    (claim,) = claims(bench)
    assert not unused_since(claim)


async def test_without_the_right_to_delete(
    bench: Bench, api: KubeApi, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The event says what is missing; the claim stays listed, and nobody asks every second."""
    await abandoned(bench, {"ttl": "1h"})
    kinds = "models modelrunners modelrunners/status"
    rules = [
        rule("modelrunner.dev", kinds, "get list watch patch"),
        rule("apps", "deployments", "get list"),
        rule("batch", "jobs", "get list"),
        rule("", "persistentvolumeclaims", "get list patch"),
        rule("", "pods services", "get list"),
        rule("events.k8s.io", "events", "create patch"),
    ]
    config = account(api, control_plane, bench.namespace, rules, tmp_path)
    async with await KubeClient.connected(kubeconfig=str(config), writes=WRITES) as client:
        bench.client = client
        bench.restart()
        bench.offset += 3700
        again = await runner_once(bench)
        assert again is not None
        assert again > 200
    (note,) = events(bench, "CacheDeletionRefused")
    assert "let its account delete persistentvolumeclaims" in note
    assert len(claims(bench)) == 1
    status = bench.must(API, "ModelRunner", "default")["status"]
    assert status["cache"]["unusedClaims"] == 1
    assert status["conditions"][0]["status"] == "True"


async def test_a_runner_that_cannot_be_used_judges_no_caches(bench: Bench) -> None:
    """What it told before stays told, and no claim goes."""
    await abandoned(bench, {"ttl": "1h"})
    before = bench.must(API, "ModelRunner", "default")["status"]["cache"]
    bench.offset += 3700
    spec = {"cache": {"ttl": "1h"}, "podTemplate": {"spec": {"containers": [{"name": "{{ }}"}]}}}
    bench.put("ModelRunner", "default", spec)
    status = (await runner_still(bench))["status"]
    assert status["conditions"][0]["reason"] == "InvalidConfiguration"
    assert status["cache"] == before
    assert len(claims(bench)) == 1
