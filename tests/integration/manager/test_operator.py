"""`modelrunner operator` as it is deployed: the real reconcilers in the real process."""

import re
import signal
from typing import Any

import pytest

from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.support.hand_kubelet import HandKubelet
from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator
from tests.support.pod_statuses import ARTIFACT, ended

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


def counted(api: KubeApi, namespace: str) -> bool:
    """Whether the one Job's controller has counted its pod."""
    found = api.list("batch/v1", "Job", namespace)
    return [job.get("status", {}).get("active") for job in found] == [1]


def at_rest(operator: Operator) -> None:
    """Wait until many reconciles in a row have written nothing."""
    state: list[tuple[float, float]] = []

    def resting() -> bool:
        now = writes(operator), reconciles(operator)
        if not state or state[0][0] != now[0]:
            state[:] = [now]
        return now[1] - state[0][1] >= 10

    operator.wait("rest", resting)


def test_it_works_rests_and_leaves_everything_alone_when_restarted(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """A Model leads to a Job and a status; then nothing is written any more, by a successor too."""
    create(api, namespace)
    start(operator)
    operator.wait("the Model's status", lambda: told(api, namespace, "Model", "m"))
    operator.wait("the runner's status", lambda: told(api, namespace, "ModelRunner", "default"))
    # Its controller has written what it has to say of the Job. Its pod runs: how long one waits
    # for a node is told, too, as time goes on.
    operator.wait("the Job", lambda: counted(api, namespace))
    HandKubelet(api, namespace).turn()
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


def end_job(api: KubeApi, namespace: str, component: str, outcome: Outcome) -> None:
    """The newest pod of that component's Job ends with this outcome, as the kubelet tells it."""
    found: list[Any] = []
    selector = f"app.kubernetes.io/component={component}"

    def waiting() -> bool:
        pods = api.list("v1", "Pod", namespace, label_selector=selector)
        found[:] = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
        return bool(found)

    wait_until(f"a pending {component} pod", waiting, seconds=120)
    status = ended(component, encode(outcome), exit_code=1 if outcome.reason else 0)
    meta = {"name": found[0]["metadata"]["name"], "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status}
    api.merge(body, subresource="status")


def test_pulls_are_counted_by_kind_of_source(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """One failure and one success: Jobs, bytes, seconds and retries, each once."""
    create(api, namespace)
    start(operator)
    end_job(api, namespace, "resolve", Outcome(artifact=ARTIFACT))
    broken = Outcome(
        reason=Reason.PULL_FAILED,
        message="the server answered 503",
        retryable=True,
        downloaded_bytes=1000,
        seconds=2.5,
        retries=7,
    )
    end_job(api, namespace, "pull", broken)
    source = {"http": {"url": "http://files.test/other.gguf"}}
    other = {"name": "other", "namespace": namespace}
    api.create({"apiVersion": API, "kind": "Model", "metadata": other, "spec": {"source": source}})
    end_job(api, namespace, "resolve", Outcome(artifact=ARTIFACT))
    whole = Outcome(artifact=ARTIFACT, downloaded_bytes=98_000_000, seconds=40.0)
    end_job(api, namespace, "pull", whole)
    lines = (
        'modelrunner_pulls_total{result="retry",source="http"} 1.0',
        'modelrunner_pulls_total{result="success",source="http"} 1.0',
        'modelrunner_pull_bytes_total{source="http"} 9.8001e+07',
        'modelrunner_pull_seconds_total{source="http"} 42.5',
        'modelrunner_pull_retries_total{source="http"} 7.0',
    )
    operator.wait("the counters", lambda: all(one in operator.get("/metrics")[1] for one in lines))
    # Every second each Model is looked at again.
    looks = reconciles(operator)
    operator.wait("more looks", lambda: reconciles(operator) >= looks + 6)
    told = operator.get("/metrics")[1]
    assert all(one in told for one in lines), told


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
