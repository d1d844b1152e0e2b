"""Equal weights at several places: who shares a Job, and which Jobs nobody wants any more."""

from typing import Any

import pytest

from modelrunner.reconcilers.glancing import FULL_LOOK_EVERY
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Outcome
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.integration.reconcilers.test_upkeep import MODEL, let_go
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT, ended

pytestmark = pytest.mark.control_plane

OWN: dict[str, Any] = {"keepAlive": "9m"}
SHARED: dict[str, Any] = {"cache": {"existingClaim": "shared"}}


def jobs(bench: Bench) -> dict[str, list[str]]:
    """The Jobs that are there to stay, by the claim that they mount ("": none), with their owners."""
    found = {}
    for job in bench.api.list("batch/v1", "Job", bench.namespace):
        if "deletionTimestamp" in job["metadata"]:
            continue
        volumes = job["spec"]["template"]["spec"]["volumes"]
        claims = [one.get("persistentVolumeClaim", {}).get("claimName", "") for one in volumes]
        kind = job["metadata"]["name"].partition("-")[0]
        owners = sorted(owner["name"] for owner in job["metadata"]["ownerReferences"])
        found[f"{kind} {max(claims)}"] = owners
    return found


def own_claim(bench: Bench) -> str:
    """The claim that the operator has made."""
    found = bench.api.list("v1", "PersistentVolumeClaim", bench.namespace)
    names: list[str] = [one["metadata"]["name"] for one in found]
    return next(name for name in names if name != "shared")


def all_end(bench: Bench, component: str, outcome: Outcome, *, count: int) -> None:
    """So many pods there are to be of that kind, and all end with the same words."""
    selector = f"app.kubernetes.io/component={component}"

    def pods() -> list[Object]:
        return bench.api.list("v1", "Pod", bench.namespace, label_selector=selector)

    bench.wait_for_pods(lambda: len(pods()) == count)
    for pod in pods():
        bench.set_status(pod, ended(component, encode(outcome)))


def cached(model: Object) -> str:
    """What Cached says."""
    found = condition(model, "Cached")
    assert found is not None
    return str(found["message"])


async def test_a_job_belongs_to_those_who_want_its_place(bench: Bench) -> None:
    """A Model on a shared claim keeps no Job alive that fills the operator's own, nor the reverse."""
    bench.claim("shared")
    bench.put("ModelRunner", "default", OWN)
    bench.put("ModelRunner", "other", OWN | {"cache": {"storageClassName": "other"}})
    bench.put("ModelRunner", "shared", SHARED)
    for name, runner in (("m", "default"), ("n", "shared"), ("o", "other")):
        bench.put("Model", name, MODEL | {"runner": runner})
    for _ in range(2):
        for name in "mno":
            await bench.until_still(name)
    assert jobs(bench) == {"resolve ": ["m", "o"], "resolve shared": ["n"]}
    for component in ("resolve", "pull"):
        all_end(bench, component, Outcome(artifact=ARTIFACT), count=2)
        for _ in range(2):
            for name in "mno":
                await bench.until_still(name)
    assert jobs(bench) == {}
    own = own_claim(bench)
    for name, claim in (("m", own), ("n", "shared"), ("o", own)):
        assert cached(bench.model(name)) == f"93.8 MiB on PersistentVolumeClaim {claim}"


async def test_a_move_to_a_shared_claim_and_back(bench: Bench) -> None:
    """What is on the own claim is found again at once; the pull to the other place ends."""
    bench.claim("shared")
    bench.put("ModelRunner", "default", OWN)
    bench.put("Model", "m", MODEL)
    await bench.serving()
    own = own_claim(bench)
    bench.put("ModelRunner", "default", OWN | SHARED)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert jobs(bench) == {"resolve shared": ["m"], "pull shared": ["m"]}
    assert model["status"]["phase"] == "Ready"
    bench.put("ModelRunner", "default", OWN)
    model = await bench.until_still("m")
    assert jobs(bench) == {}
    assert cached(model) == f"93.8 MiB on PersistentVolumeClaim {own}"
    assert model["status"]["phase"] == "Ready"


async def test_a_job_that_the_last_of_its_owners_has_left(bench: Bench) -> None:
    """It is co-owned by Models that both want another place by now."""
    bench.claim("shared")
    bench.put("ModelRunner", "default", OWN)
    bench.put("Model", "m", MODEL)
    bench.put("Model", "n", MODEL)
    await bench.until_still("m")
    await bench.until_still("n")
    bench.pod_of("resolve")
    assert jobs(bench) == {"resolve ": ["m", "n"]}
    bench.put("ModelRunner", "shared", SHARED)
    bench.put("Model", "m", MODEL | {"runner": "shared"})
    await bench.until_still("m")
    assert jobs(bench) == {"resolve ": ["m", "n"], "resolve shared": ["m"]}
    bench.put("Model", "n", MODEL | {"runner": "shared"})
    await bench.until_still("n")
    assert jobs(bench) == {"resolve shared": ["m", "n"]}


async def test_a_shared_claim_that_is_another_one_by_now(bench: Bench) -> None:
    """Deleted and made anew under its name: what was on the former one is looked for and pulled."""
    bench.claim("shared")
    bench.put("ModelRunner", "default", SHARED)
    bench.put("Model", "m", MODEL)
    await bench.serving()
    deployment = bench.must("apps/v1", "Deployment", "m")
    before = written()
    bench.restart()
    await bench.until_still("m")
    assert written() == before
    bench.api.delete("v1", "PersistentVolumeClaim", "shared", bench.namespace)
    let_go(bench, "shared")
    bench.claim("shared")
    bench.offset += FULL_LOOK_EVERY
    model = await bench.until_still("m")
    assert (jobs(bench), model["status"]["phase"]) == ({"resolve shared": ["m"]}, "Ready")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    model = await bench.until_still("m")
    assert (jobs(bench), model["status"]["phase"]) == ({}, "Ready")
    assert cached(model) == "93.8 MiB on PersistentVolumeClaim shared"
    template = bench.must("apps/v1", "Deployment", "m")["spec"]["template"]
    # Pods that had the former one have ended before it could go: nobody is restarted for it.
    assert template == deployment["spec"]["template"]
