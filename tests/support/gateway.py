"""Where the gateway of a cluster is reached from this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from tests.cluster.errors import ClusterError
from tests.cluster.providers import Provider
from tests.support.kubeapi import KubeApi
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack

NAME: Final = f"{RELEASE}-gateway"
PORT: Final = 12434


def gateway_url(provider: Provider, api: KubeApi, namespace: str = SYSTEM_NAMESPACE) -> str:
    """The gateway's URL as this machine reaches it.

    Raises:
        ClusterError: it is not installed, or this machine has no way to it; says what to do.
    """
    found = api.get("v1", "Service", NAME, namespace)
    if found is None:
        raise ClusterError(f"no Service {NAME} in the namespace {namespace}: run `make demo`")
    if provider.routes_pods:
        return f"http://{found['spec']['clusterIP']}:{PORT}"
    node_ports = {one.get("nodePort") for one in found["spec"]["ports"]}
    for node_port, host_port in provider.published_ports.items():
        if node_port in node_ports:
            return f"http://127.0.0.1:{host_port}"
    command = f"kubectl port-forward -n {namespace} service/{NAME} {PORT}"
    raise ClusterError(f"this machine has no route to the gateway: run `{command}`")


@contextmanager
def gateway_client(stack: Stack, timeout: float = 120) -> Iterator[httpx.Client]:
    """An HTTP client of the gateway."""
    with (
        stack.address(SYSTEM_NAMESPACE, NAME) as url,
        httpx.Client(base_url=url, timeout=timeout, trust_env=False) as client,
    ):
        yield client
