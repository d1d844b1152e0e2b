"""The accidents of the operator process: lost leases, dead watches, missing kinds."""

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.integration.manager.worlds import (
    API,
    LEASE,
    RIGHTS,
    account,
    model,
    quiet,
    reconciled,
)
from tests.support.kubeapi import KubeApi
from tests.support.operators import SHORT_LEASE, Operator
from tests.support.planes import install_kinds

pytestmark = pytest.mark.control_plane


def test_losing_the_lease_ends_the_process_at_once(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """Somebody else holds it: no reconcile goes on, the status is not 0."""
    api.create(model(namespace, "m"))
    operator.start(SLOW="600")
    operator.wait_role("leader")
    operator.wait("a reconcile", lambda: len(operator.lines("reconcile ")) > 0)
    holder = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 60}
    name = {"name": LEASE[2], "namespace": namespace}
    api.merge({"apiVersion": LEASE[0], "kind": LEASE[1], "metadata": name, "spec": holder})
    assert operator.end() == 3
    assert operator.lines("finished ") == []
    lease = api.get(*LEASE, namespace)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "somebody-else"


def test_what_is_deleted_while_nobody_watches_is_noticed(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane
) -> None:
    """The API server restarts and an object goes before the watch is back: no DELETED comes."""
    for name in ("stays", "goes"):
        api.create(model(namespace, name))
    operator.start(MODELRUNNER_RESYNC_SECONDS="20")
    operator.wait_role("leader")
    operator.wait("goes", lambda: reconciled(operator, "Model", namespace, "goes") > 0)
    quiet(api, operator)
    before = reconciled(operator, "Model", namespace, "goes")
    operator.signal(signal.SIGSTOP)
    control_plane.stop_apiserver()
    control_plane.start_apiserver()
    api.delete(API, "Model", "goes", namespace)
    operator.signal(signal.SIGCONT)
    operator.wait("the deletion", lambda: reconciled(operator, "Model", namespace, "goes") > before)
    # The watches are back: a change is seen without a resync.
    api.create(model(namespace, "new"))
    operator.wait("new", lambda: reconciled(operator, "Model", namespace, "new") > 0)
    operator.wait_role("leader")
    operator.wait("health", lambda: operator.get("/healthz")[0] == 200)


def test_an_api_server_that_is_away_too_long_ends_the_leader(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane
) -> None:
    """It cannot know whether it still leads; started again, it waits as a standby."""
    operator.start(**SHORT_LEASE)
    operator.wait_role("leader")
    control_plane.stop_apiserver()
    try:
        assert operator.end() == 3
        operator.start()
        operator.wait("a standby", lambda: operator.get("/healthz")[0] == 200)
    finally:
        control_plane.start_apiserver()
    operator.wait_role("leader")


def test_without_watches_it_works_by_resync_and_calls_itself_unhealthy(
    api: KubeApi, namespace: str, operator: Operator, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The right to watch is gone: changes are found by listing, and the probe tells."""
    rules = [{**one, "verbs": [verb for verb in one["verbs"] if verb != "watch"]} for one in RIGHTS]
    file = account(api, control_plane, namespace, rules, tmp_path)
    operator.start(KUBECONFIG=str(file), MODELRUNNER_RESYNC_SECONDS="1")
    operator.wait_role("leader")
    operator.wait("health", lambda: operator.get("/healthz")[0] == 200)
    for name in ("a", "b", "c"):
        api.create(model(namespace, name))
        seen = partial(reconciled, operator, "Model", namespace, name)
        operator.wait(name, seen)

    def silent() -> list[str]:
        status, told = operator.get("/healthz")
        return list(told["silentWatches"]) if status == 503 else []

    operator.wait("the probe", silent)
    assert silent() == ["models.modelrunner.dev"]
    assert "cannot watch resource" in operator.log


def test_without_its_kinds_it_ends_and_waits_for_them(
    api: KubeApi, namespace: str, operator: Operator
) -> None:
    """The CRDs are deleted and installed again, as by a chart that was removed in between."""
    operator.start()
    operator.wait_role("leader")
    kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "models.modelrunner.dev")
    api.delete(*kind)
    try:
        assert operator.end() == 1
        assert "the watches ended" in operator.log
        lease = api.get(*LEASE, namespace)
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == ""
        operator.start()
        operator.wait("the reason", lambda: "models" in str(operator.get("/readyz")[1]))
        operator.wait("no readiness", lambda: operator.get("/readyz")[0] == 503)
        operator.wait("health", lambda: operator.get("/healthz")[0] == 200)
    finally:
        wait_until("the end of the CRD", lambda: api.get(*kind) is None)
        install_kinds(api)
    operator.wait_role("leader")
    api.create(model(namespace, "m"))
    operator.wait("the Model", lambda: reconciled(operator, "Model", namespace, "m") > 0)
