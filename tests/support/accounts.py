"""Requests to a control plane as a service account, with a token as its pods have."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi, Refused


def token_of(api: KubeApi, namespace: str, account: str) -> str:
    """A fresh token of a service account."""
    path = f"{api.path('v1', 'ServiceAccount', namespace, account)}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = api.request("POST", path, body)["status"]["token"]
    return token


def kubeconfig_of(
    plane: ControlPlane, api: KubeApi, namespace: str, account: str, file: Path
) -> Path:
    """Write a kubeconfig with which a process is this service account; its path."""
    cluster = {"server": plane.server, "certificate-authority": str(plane.certificate_authority)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "plane", "cluster": cluster}],
        "users": [{"name": account, "user": {"token": token_of(api, namespace, account)}}],
        "contexts": [{"name": "it", "context": {"cluster": "plane", "user": account}}],
        "current-context": "it",
    }
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file


@contextmanager
def as_account(
    plane: ControlPlane, api: KubeApi, namespace: str, account: str
) -> Iterator[KubeApi]:
    """A client that is this service account and nobody else; `api` is the administrator's."""
    headers = {"Authorization": f"Bearer {token_of(api, namespace, account)}"}
    trusted = ssl.create_default_context(cafile=str(plane.certificate_authority))
    with httpx.Client(
        base_url=plane.server, verify=trusted, headers=headers, timeout=30, trust_env=False
    ) as http:
        client = KubeApi(http)
        # The API server may learn of a new account a moment after it was made.
        wait_until("the account's token is taken", lambda: _known(client), seconds=120)
        yield client


def _known(client: KubeApi) -> bool:
    try:
        client.request("GET", "/apis")
    except Refused as refused:
        if refused.status == 401:
            return False
        raise
    return True
