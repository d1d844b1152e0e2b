"""How kopf is set up."""

from itertools import islice
from typing import Any

import kopf
import pytest

from modelrunner.manager.settings import CappedBackoff, configure, login
from modelrunner.manager.watched import watched


def test_the_back_off_is_capped_endless_and_begins_anew_each_time() -> None:
    """Kopf gives a watch up where the delays end, and iterates for each request."""
    backoff = CappedBackoff()
    assert list(islice(backoff, 10)) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert next(iter(backoff)) == 0.2


def test_kopf_writes_nothing_and_needs_no_cluster_rights() -> None:
    """No events, no peering, no scanning, no limit of workers; children by label."""
    settings = kopf.OperatorSettings()
    configure(settings, watched(()))
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.peering.standalone is True
    assert settings.queueing.worker_limit is None
    selectors = {str(key): value for key, value in settings.watching.label_selectors.items()}
    assert len(selectors) == 5
    assert set(selectors.values()) == {"app.kubernetes.io/managed-by=model-runner-operator"}


async def test_a_pod_reaches_the_server_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator starts also where cluster DNS is not up yet."""
    found = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")

    def account(**_: Any) -> kopf.ConnectionInfo:
        return found

    monkeypatch.setattr(kopf, "login_with_service_account", account)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    info = await login()
    assert info is not None
    assert info.server == "https://[fd00::1]:6443"
    assert info.token == "t"


async def test_outside_of_a_cluster_the_kubeconfig_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by our own client."""
    found = kopf.ConnectionInfo(server="https://here")

    def config(**_: Any) -> kopf.ConnectionInfo:
        return found

    monkeypatch.setattr(kopf, "login_with_kubeconfig", config)
    monkeypatch.setenv("KUBECONFIG", "x")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert await login() is found
