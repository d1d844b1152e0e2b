"""Deployments, a model's and a stranger's, and attempts to scale them."""

from typing import Final
from uuid import uuid4

import pytest

from modelrunner.domain import naming
from tests.support.kubeapi import KubeApi, Object, Refused

MERGE: Final = "application/merge-patch+json"


def new_namespace(api: KubeApi) -> str:
    """A namespace; its name."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "gateway-"}}
    name: str = api.create(body)["metadata"]["name"]
    return name


def deployment(api: KubeApi, namespace: str, selector: dict[str, str], replicas: int) -> str:
    """A Deployment with this selector; its name."""
    name = f"d-{uuid4().hex[:8]}"
    container = {"name": "c", "image": "localhost/none:1"}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
    api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "labels": selector},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": selector},
                "template": template,
            },
        }
    )
    return name


def models(api: KubeApi, namespace: str, replicas: int) -> str:
    """A Deployment with the selector that the operator gives a Model's; its name."""
    return deployment(api, namespace, naming.pod_selector(f"m-{uuid4().hex[:8]}"), replicas)


def scale_path(namespace: str, name: str) -> str:
    """Path of a Deployment's scale."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"


def scale(
    client: KubeApi, namespace: str, name: str, replicas: int, *, dry: bool = False
) -> Object:
    """Set the number by a merge patch."""
    query = {"dryRun": "All"} if dry else {}
    body = {"spec": {"replicas": replicas}}
    return client.request("PATCH", scale_path(namespace, name), body, query=query, kind=MERGE)


def refusal(client: KubeApi, namespace: str, name: str, replicas: int) -> Refused:
    """How the attempt is refused; it must be."""
    with pytest.raises(Refused) as refused:
        scale(client, namespace, name, replicas)
    return refused.value


def replicas_of(api: KubeApi, namespace: str, name: str) -> int:
    """What the Deployment says, as its administrator sees it."""
    found = api.get("apps/v1", "Deployment", name, namespace)
    assert found is not None
    number: int = found["spec"]["replicas"]
    return number
