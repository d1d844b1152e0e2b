"""The operator process against a real API server: its whole life."""

import json
import re
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.manager.worlds import (
    API,
    LEASE,
    RIGHTS,
    account,
    claim,
    model,
    quiet,
    reconciled,
    runner,
)
from tests.support.kubeapi import KubeApi
from tests.support.operators import SHORT_LEASE, Operator
from tests.support.service_monitors import serving_service_monitors

pytestmark = pytest.mark.control_plane


def told(operator: Operator, line: str) -> bool:
    """Whether its metrics say so."""
    return line in operator.get("/metrics")[1]


def test_it_starts_leads_reconciles_and_ends_cleanly(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """From nothing to ready, every object looked at, SIGTERM → 0 and a free lease."""
    before = [api.create(runner(namespace)), api.create(model(namespace, "m"))]
    operator.start()
    operator.wait_role("leader")
    operator.wait("the Model", lambda: reconciled(operator, "Model", namespace, "m") > 0)
    operator.wait(
        "the runner", lambda: reconciled(operator, "ModelRunner", namespace, "default") > 0
    )
    operator.wait("health", lambda: operator.get("/healthz")[0] == 200)
    assert operator.get("/healthz")[1]["role"] == "leader"
    # A reconcile is counted a moment after it has told its line.
    for line in (
        "modelrunner_leader 1.0",
        'modelrunner_models{phase="Unknown"} 1.0',
        'modelrunner_reconcile_total{kind="Model",result="success"}',
        "modelrunner_queue_depth 0.0",
        'modelrunner_watch_last_event_age_seconds{resource="models.modelrunner.dev"}',
    ):
        operator.wait(line, partial(told, operator, line))
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    assert "closed" in operator.log.splitlines()
    lease = api.get(*LEASE, namespace)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    # Nothing of a user's object was written: no annotation, no finalizer, not even a version.
    for item in before:
        after = api.get(API, item["kind"], item["metadata"]["name"], namespace)
        assert after == item
    levels = {json.loads(line)["level"] for line in operator.log.splitlines() if line[0] == "{"}
    assert levels == {"info"}


def test_changes_reach_the_keys_they_concern(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """A new Model, a child of its artifact, a deletion; strangers and silence cost nothing."""
    operator.start()
    operator.wait_role("leader")
    for name, file in (("a", "one.gguf"), ("b", "one.gguf"), ("c", "two.gguf")):
        api.create(model(namespace, name, file))
    operator.wait("c", lambda: reconciled(operator, "Model", namespace, "c") > 0)
    quiet(api, operator)
    counts = {name: reconciled(operator, "Model", namespace, name) for name in "abc"}
    api.create(claim(namespace, artifact="one.gguf"))
    operator.wait(
        "the sharers",
        lambda: all(reconciled(operator, "Model", namespace, name) > counts[name] for name in "ab"),
    )
    quiet(api, operator)
    assert reconciled(operator, "Model", namespace, "c") == counts["c"]
    before = quiet(api, operator)
    api.delete(API, "Model", "c", namespace)
    operator.wait("the end", lambda: reconciled(operator, "Model", namespace, "c") > counts["c"])
    assert quiet(api, operator) <= before + 4
    written = re.findall(
        r"modelrunner_api_writes_total\{resource=\"([^\"]+)\"", operator.get("/metrics")[1]
    )
    assert set(written) == {"leases.coordination.k8s.io"}


def test_a_standby_serves_probes_and_takes_over_when_the_leader_ends(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """Two replicas, a rolling update: the second leads as soon as the first has let go."""
    api.create(model(namespace, "m"))
    operator.start()
    operator.wait_role("leader")
    another.start()
    another.wait_role("standby")
    another.wait("health", lambda: another.get("/healthz")[0] == 200)
    assert "modelrunner_leader 0.0" in another.get("/metrics")[1]
    assert another.lines("reconcile ") == []
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    another.wait_role("leader")
    another.wait("the Model", lambda: reconciled(another, "Model", namespace, "m") > 0)


def test_a_killed_leader_is_replaced(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """SIGKILL, as by the kernel out of memory: the lease expires."""
    operator.start(**SHORT_LEASE)
    operator.wait_role("leader")
    another.start()
    another.wait_role("standby")
    operator.signal(signal.SIGKILL)
    another.wait_role("leader")


def test_a_running_reconcile_may_finish_at_sigterm(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """What runs ends, what waits is left to the next leader."""
    api.create(model(namespace, "m"))
    operator.start(SLOW="2")
    operator.wait_role("leader")
    operator.wait("a reconcile", lambda: len(operator.lines("reconcile ")) > 0)
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    assert len(operator.lines("finished ")) == len(operator.lines("reconcile "))


def test_a_kind_installed_later_is_noticed(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """The Prometheus operator comes after us: every ModelRunner is looked at again."""
    api.create(runner(namespace))
    operator.start()
    operator.wait_role("leader")
    operator.wait("runner", lambda: reconciled(operator, "ModelRunner", namespace, "default") > 0)
    quiet(api, operator)
    before = reconciled(operator, "ModelRunner", namespace, "default")
    with serving_service_monitors(api):
        operator.wait(
            "another look",
            lambda: reconciled(operator, "ModelRunner", namespace, "default") > before,
        )


def test_a_standby_ends_at_once_at_sigterm(
    api: KubeApi, namespace: str, operator: Operator, another: Operator
) -> None:
    """It has nothing to finish, and the lease is not its own to release."""
    operator.start()
    operator.wait_role("leader")
    another.start()
    another.wait_role("standby")
    another.signal(signal.SIGTERM)
    assert another.end() == 0
    assert operator.role == "leader"


def test_the_rights_it_says_it_needs_are_enough(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """With watchNamespaces it needs Roles only: nothing of the cluster, no Secrets."""
    api.create(model(namespace, "m"))
    file = account(api, control_plane, namespace, RIGHTS, tmp_path)
    operator.start(KUBECONFIG=str(file))
    operator.wait_role("leader")
    before = reconciled(operator, "Model", namespace, "m")
    api.merge({**model(namespace, "m"), "spec": {"aliases": ["another"]}})
    operator.wait("an event", lambda: reconciled(operator, "Model", namespace, "m") > before)
    operator.signal(signal.SIGTERM)
    assert operator.end() == 0
    lines = [json.loads(line) for line in operator.log.splitlines() if line[0] == "{"]
    # Not in what is no word: any number may stand in a time, a port or a namespace's name.
    assert not [one for one in lines if re.search(r"\b403\b", one["message"])]
    assert "orbidden" not in operator.log
