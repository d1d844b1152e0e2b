"""Claims that are too small: they grow where the class allows it, and what is told else."""

from typing import Any

import pytest

from modelrunner.domain.sizing import needed_bytes
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.integration.reconcilers.bench import Bench, condition
from tests.integration.reconcilers.test_upkeep import MODEL, claims, events
from tests.support.kubeapi import Object, Refused
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

GI = 2**30
MI = 2**20
NEEDED = f"{needed_bytes(ARTIFACT.size_bytes) // MI}Mi"


def storage_class(bench: Bench, *, grows: bool) -> None:
    """The class of the namespace's claims; the tests make its volumes by hand."""
    bench.api.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": bench.namespace},
            "provisioner": "tests.example/none",
            "allowVolumeExpansion": grows,
        }
    )


def until_known(bench: Bench, *, grows: bool) -> None:
    """Wait until the API server, which reads classes by a watch, lets the bound claim grow or not.

    Nothing is stored.
    """
    (claim,) = claims(bench)
    name, namespace = claim["metadata"]["name"], bench.namespace
    path = bench.api.path("v1", "PersistentVolumeClaim", namespace, name)
    body: Object = {"spec": {"resources": {"requests": {"storage": "64Gi"}}}}
    kind = "application/merge-patch+json"

    def known() -> bool:
        try:
            bench.api.request("PATCH", path, body, query={"dryRun": "All"}, kind=kind)
        except Refused as refused:
            if refused.status == 403:
                return not grows
            raise
        return grows

    bench.wait_for_pods(known)


def on(bench: Bench, **cache: Any) -> dict[str, Any]:
    """A ModelRunner whose claims are of the namespace's class."""
    return {"cache": {"storageClassName": bench.namespace, **cache}}


def bound(bench: Bench, size: str, **more: Any) -> Object:
    """The claim gets a volume of that size, or another size of it is told."""
    (claim,) = claims(bench)
    name, namespace = claim["metadata"]["name"], bench.namespace
    if not claim["spec"].get("volumeName"):
        bench.api.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{name}"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": size},
                    "storageClassName": claim["spec"]["storageClassName"],
                    "hostPath": {"path": "/none"},
                    "claimRef": {
                        "kind": "PersistentVolumeClaim",
                        "namespace": namespace,
                        "name": name,
                        "uid": claim["metadata"]["uid"],
                    },
                },
            }
        )
        bench.wait_for_pods(lambda: claims(bench)[0]["status"]["phase"] == "Bound")
    status = {"capacity": {"storage": size}, "phase": "Bound", **more}
    meta = {"name": name, "namespace": namespace}
    return bench.api.merge(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "status": status},
        subresource="status",
    )


def asked(bench: Bench) -> str:
    """What the claim asks for."""
    return str(claims(bench)[0]["spec"]["resources"]["requests"]["storage"])


def cached(model: Object) -> tuple[str, str]:
    """Reason and message of Cached."""
    found = condition(model, "Cached")
    assert found is not None
    return found["reason"], found["message"]


def pulls(bench: Bench) -> list[str]:
    """The uids of the pull Jobs."""
    found = bench.api.list("batch/v1", "Job", bench.namespace)
    return [one["metadata"]["uid"] for one in found if one["metadata"]["name"].startswith("pull")]


async def pulling(bench: Bench, volume: str, *, grows: bool = True, **cache: Any) -> None:
    """A Model whose claim is bound, while its pull runs."""
    storage_class(bench, grows=grows)
    bench.put("ModelRunner", "default", on(bench, **cache))
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bound(bench, volume)
    until_known(bench, grows=grows)


FULL = Outcome(
    reason=Reason.CACHE_TOO_SMALL,
    message="the volume at /models is too full: the weights need 2.00 GiB",
    missing_bytes=GI,
)


async def test_a_pull_that_finds_too_little_room(bench: Bench) -> None:
    """The source grew: the claim is asked to grow, the wait is told, the pull goes on."""
    await pulling(bench, NEEDED)
    (first,) = pulls(bench)
    bench.end_pod("pull", FULL, exit_code=1)
    model = await bench.until_still("m")
    grown = int(asked(bench).removesuffix("Mi")) * MI
    assert grown >= needed_bytes(ARTIFACT.size_bytes) + GI
    reason, message = cached(model)
    assert reason == "Pulling"
    assert f"to grow from {NEEDED[:-2]}.0 MiB to" in message
    assert pulls(bench) == [first]
    failing = [
        {
            "type": "ControllerResizeError",
            "status": "True",
            "message": "the pool is empty",
        }
    ]
    bound(bench, NEEDED, conditions=failing)
    reason, message = cached(await bench.until_still("m"))
    assert reason == "CacheTooSmall"
    assert "the pool is empty. Mend:" in message
    assert asked(bench) == f"{grown // MI}Mi"
    bound(bench, f"{grown // MI}Mi", conditions=[])
    model = await bench.until_still("m")
    assert cached(model)[0] == "Pulling"
    assert "grow" not in cached(model)[1]
    assert pulls(bench)[0] != first
    assert asked(bench) == f"{grown // MI}Mi"


async def test_a_file_system_that_grows_when_it_is_mounted(bench: Bench) -> None:
    """Nobody waits for that: the pod of the pull is what it waits for itself."""
    await pulling(bench, NEEDED)
    (first,) = pulls(bench)
    bench.end_pod("pull", FULL, exit_code=1)
    await bench.until_still("m")
    waits = [{"type": "FileSystemResizePending", "status": "True", "message": "mount it"}]
    bound(bench, NEEDED, conditions=waits)
    await bench.until_still("m")
    assert pulls(bench) != [first]


async def test_a_class_that_does_not_grow(bench: Bench) -> None:
    """The API server's no, with the numbers and what to do; the operator has not read the class."""
    await pulling(bench, NEEDED, grows=False)
    bench.end_pod("pull", FULL, exit_code=1)
    model = await bench.until_still("m")
    reason, _ = cached(model)
    ready = condition(model, "Ready")
    assert ready is not None
    assert (reason, ready["reason"]) == ("CacheTooSmall", "CacheTooSmall")
    # What is needed and what is free comes first, then what the server says to more.
    assert ready["message"].startswith(
        "the volume at /models is too full: the weights need 2.00 GiB"
    )
    assert "does not let it grow" in ready["message"]
    assert events(bench, "CacheGrows") == []
    assert "allowVolumeExpansion" in ready["message"]
    storage_class(bench, grows=True)
    until_known(bench, grows=True)
    bench.offset += 301
    model = await bench.until_still("m")
    assert "to grow from" in cached(model)[1]


async def test_a_size_that_somebody_has_set(bench: Bench) -> None:
    """It is not exceeded: the message says to what to raise it, and raised it makes the claim grow."""
    await pulling(bench, "1Gi", size="1Gi")
    bench.end_pod("pull", FULL, exit_code=1)
    reason, message = cached(await bench.until_still("m"))
    assert reason == "CacheTooSmall"
    assert "raise spec.cache.size of ModelRunner default to 2151Mi" in message
    assert asked(bench) == "1Gi"
    bench.put("ModelRunner", "default", on(bench, size="3Gi"))
    await bench.until_still("m")
    assert asked(bench) == "3Gi"
    bound(bench, "3Gi")
    model = await bench.until_still("m")
    assert cached(model)[0] == "Pulling"


async def test_a_raised_size_under_a_model_that_serves(bench: Bench) -> None:
    """It grows; a smaller one changes nothing; and a refusal is told without disturbing anybody."""
    await pulling(bench, "1Gi", size="1Gi")
    bench.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bench.put("ModelRunner", "default", on(bench, size="2Gi"))
    await bench.until_still("m")
    assert asked(bench) == "2Gi"
    bench.put("ModelRunner", "default", on(bench, size="1Gi"))
    await bench.until_still("m")
    assert asked(bench) == "2Gi"
    storage_class(bench, grows=False)
    until_known(bench, grows=False)
    bench.put("ModelRunner", "default", on(bench, size="4Gi") | {"keepAlive": "1h"})
    model = await bench.until_still("m")
    assert asked(bench) == "2Gi"
    assert cached(model)[0] == "Cached"
    (note,) = events(bench, "CacheTooSmall")
    assert "is 2.0 GiB and is to be 4.0 GiB" in note


async def test_a_claim_without_a_volume_is_made_anew(bench: Bench) -> None:
    """It holds nothing and cannot be changed: larger it is another one."""
    storage_class(bench, grows=True)
    bench.put("ModelRunner", "default", on(bench, size="1Gi"))
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    (old,) = claims(bench)
    bench.put("ModelRunner", "default", on(bench, size="3Gi"))
    await bench.once("m")
    for pod in bench.api.list("v1", "Pod", bench.namespace):
        bench.api.delete("v1", "Pod", pod["metadata"]["name"], bench.namespace)
    bench.wait_for_pods(
        lambda: (
            old["metadata"]["uid"]
            not in str(bench.api.list("v1", "PersistentVolumeClaim", bench.namespace))
        )
    )
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    assert asked(bench) == "3Gi"
    assert claims(bench)[0]["metadata"]["uid"] != old["metadata"]["uid"]
