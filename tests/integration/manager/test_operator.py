"""`modelrunner operator` as it is deployed: the real reconcilers in the real process."""

import re
import signal
from typing import Any

import pytest

from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator

pytestmark = pytest.mark.control_plane
API = "modelrunner.dev/v1alpha1"
KINDS = (
    (API, "Model"),
    (API, "ModelRunner"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
)


def start(operator: Operator) -> None:
    """Start it with a resync every second: what is not at rest shows soon."""
    operator.start("operator", module="modelrunner", MODELRUNNER_RESYNC_SECONDS="1")
    operator.wait_role("leader")


def versions(api: KubeApi, namespace: str) -> dict[str, str]:
    """The resourceVersions of everything the operator may write."""
    return {
        f"{kind} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for version, kind in KINDS
        for item in api.list(version, kind, namespace)
    }


def writes(operator: Operator) -> float:
    """Write requests it has sent, those to its Lease aside."""
    counted = re.findall(
        r"^modelrunner_api_writes_total\{resource=\"([^\"]+)\".*\} (\S+)$",
        operator.get("/metrics")[1],
        re.MULTILINE,
    )
    return sum(float(count) for resource, count in counted if not resource.startswith("leases"))


def reconciles(operator: Operator) -> float:
    """Finished reconciles."""
    counted = re.findall(
        r"^modelrunner_reconcile_total\{.*\} (\S+)$", operator.get("/metrics")[1], re.MULTILINE
    )
    return sum(float(count) for count in counted)


def create(api: KubeApi, namespace: str) -> None:
    """A ModelRunner and a Model whose weights nobody will fetch here."""
    objects: list[dict[str, Any]] = [
        {"kind": "ModelRunner", "metadata": {"name": "default"}, "spec": {}},
        {
            "kind": "Model",
            "metadata": {"name": "m"},
            "spec": {"source": {"http": {"url": "http://files.test/a.gguf"}}},
        },
    ]
    for item in objects:
        api.create(
            {"apiVersion": API, **item, "metadata": {**item["metadata"], "namespace": namespace}}
        )


def told(api: KubeApi, namespace: str, kind: str, name: str) -> bool:
    """Whether the operator has written the object's status."""
    found = api.get(API, kind, name, namespace) or {}
    return bool(found.get("status", {}).get("conditions"))


def at_rest(operator: Operator) -> None:
    """Wait until many reconciles in a row have written nothing."""
    state: list[tuple[float, float]] = []

    def resting() -> bool:
        now = writes(operator), reconciles(operator)
        if not state or state[0][0] != now[0]:
            state[:] = [now]
        return now[1] - state[0][1] >= 10

    operator.wait("rest", resting, 60)


def test_it_works_rests_and_leaves_everything_alone_when_restarted(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """A Model leads to a Job and a status; then nothing is written any more, by a successor too."""
    create(api, namespace)
    start(operator)
    operator.wait("the Model's status", lambda: told(api, namespace, "Model", "m"))
    operator.wait("the runner's status", lambda: told(api, namespace, "ModelRunner", "default"))
    operator.wait("the Job", lambda: bool(api.list("batch/v1", "Job", namespace)))
    at_rest(operator)
    before = versions(api, namespace)
    at_rest(operator)
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    start(operator)
    at_rest(operator)
    assert writes(operator) == 0
    assert versions(api, namespace) == before
    for kind, name in (("Model", "m"), ("ModelRunner", "default")):
        meta = (api.get(API, kind, name, namespace) or {})["metadata"]
        assert "annotations" not in meta
        assert "finalizers" not in meta


def test_a_bad_setting_ends_it_with_2(operator: Operator) -> None:
    """One line that names the variable, no stack."""
    operator.start("operator", module="modelrunner", MODELRUNNER_WORKERS="many")
    assert operator.end() == 2
    assert operator.log.count("\n") == 1
    assert "MODELRUNNER_WORKERS" in operator.log


def test_an_unusable_kubeconfig_ends_it_with_1(operator: Operator) -> None:
    """The log says what is wrong."""
    operator.start("operator", module="modelrunner", KUBECONFIG="/nonexistent/kubeconfig")
    assert operator.end() == 1
    assert "no usable cluster configuration" in operator.log
    assert "Traceback" not in operator.log
