"""A Model whose source moves, played by hand: what the tests of refreshing have in common."""

from dataclasses import replace
from typing import Any

from modelrunner_protocol.wire import Artifact, Outcome, WeightsFile
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import PATIENCE, Bench, condition
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

MODEL: dict[str, Any] = {"source": {"oci": {"reference": "registry.example/team/m:stable"}}}
MODELS = "modelrunner.dev/v1alpha1", "Model"


def version(letter: str) -> Artifact:
    """What the tag stands for from now on."""
    file = WeightsFile(path="m.gguf", size_bytes=98_400_000, sha256=letter * 64)
    return replace(ARTIFACT, files=(file,), digest=f"sha256:{letter * 64}")


A, B, C = (version(letter) for letter in "abc")


def ask(bench: Bench, value: str, name: str = "m") -> None:
    """What `kubectl annotate` does."""
    bench.api.merge(
        {
            "apiVersion": MODELS[0],
            "kind": MODELS[1],
            "metadata": {
                "name": name,
                "namespace": bench.namespace,
                "annotations": {"modelrunner.dev/refresh": value},
            },
        }
    )


def claims(bench: Bench) -> list[str]:
    """The caches that are there to stay."""
    found = bench.api.list("v1", "PersistentVolumeClaim", bench.namespace)
    return sorted(
        one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]
    )


def jobs(bench: Bench) -> list[str]:
    """The Jobs that are there to stay."""
    found = bench.api.list("batch/v1", "Job", bench.namespace)
    return sorted(
        one["metadata"]["name"].partition("-")[0]
        for one in found
        if "deletionTimestamp" not in one["metadata"]
    )


def mounted(bench: Bench, name: str = "m") -> str:
    """The claim in the Deployment's template."""
    volumes = bench.must("apps/v1", "Deployment", name)["spec"]["template"]["spec"]["volumes"]
    found: str = next(one for one in volumes if one["name"] == "cache")["persistentVolumeClaim"][
        "claimName"
    ]
    return found


def source(bench: Bench, name: str = "m") -> Object:
    """What the status remembers of the source."""
    found: Object = bench.model(name)["status"].get("source", {})
    return found


def says(model: Object, kind: str) -> tuple[str, str] | None:
    """Status and reason of a condition."""
    found = condition(model, kind)
    return (found["status"], found["reason"]) if found else None


def events(bench: Bench, reason: str) -> list[str]:
    """What was told under a reason."""
    found = bench.api.list("events.k8s.io/v1", "Event", bench.namespace)
    return [event["note"] for event in found if event["reason"] == reason]


async def serve(
    bench: Bench,
    spec: dict[str, Any] | None = None,
    found: Artifact = A,
    runner: dict[str, Any] | None = None,
) -> str:
    """A Model that serves what the tag stands for; its claim."""
    bench.put("ModelRunner", "default", runner or {})
    bench.put("Model", "m", spec or MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=found), exit_code=0)
    await bench.until_still("m")
    bench.end_pod("pull", Outcome(artifact=found), exit_code=0)
    await bench.until_still("m")
    bench.make_ready()
    await bench.until_still("m")
    return mounted(bench)


async def look(bench: Bench, value: str, found: Artifact | Outcome) -> Object:
    """Somebody asks, and the Job that looks has an answer."""
    ask(bench, value)
    await bench.until_still("m")
    outcome = found if isinstance(found, Outcome) else Outcome(artifact=found)
    bench.end_pod("resolve", outcome, exit_code=0 if outcome.reason is None else 1)
    return await bench.until_still("m")


async def roll(bench: Bench, found: Artifact, address: str = "127.0.0.10") -> Object:
    """The pull ends well, and the new pod is ready."""
    bench.end_pod("pull", Outcome(artifact=found), exit_code=0)
    await bench.until_still("m")
    bench.make_ready(address=address)
    return await bench.until_still("m")


async def gone(bench: Bench, claim: str) -> None:
    """Wait until the old pod has left its claim, and the claim went."""
    for _ in range(100):
        await bench.until_still("m")
        if claim not in claims(bench):
            return
        wait_until("the old pod to go", lambda: len(runner_pods(bench)) < 2, seconds=PATIENCE)
    raise AssertionError(f"{claim} is still there: {source(bench)}")


def runner_pods(bench: Bench, name: str = "m") -> list[Object]:
    """Pods of a Model, those that are going included."""
    return bench.api.list(
        "v1",
        "Pod",
        bench.namespace,
        label_selector=f"modelrunner.dev/model={name},app.kubernetes.io/component=runner",
    )


def settled(bench: Bench) -> bool:
    """Whether the Deployment's controller has seen its newest template."""
    found = bench.must("apps/v1", "Deployment", "m")
    return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])


def forget(bench: Bench) -> None:
    """Somebody writes the Model's status away."""
    path = bench.api.path(*MODELS, bench.namespace, "m")
    body: Object = {"status": None}
    bench.api.request("PATCH", f"{path}/status", body, kind="application/merge-patch+json")
    bench.restart()
