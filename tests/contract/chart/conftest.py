"""The chart as Helm renders it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import yaml

from release.copies import CHART
from release.helm import helm
from tests.support.kubeapi import KubeApi, Object
from tests.support.rights import until_rights_hold

NAMESPACE = "model-runner-system"
RELEASE = "model-runner-operator"
EVERYTHING = (
    "gateway.apiKeys.enabled=true",
    "gateway.ingress.enabled=true",
    "gateway.ingress.hosts={models.example.com}",
    "gateway.ingress.tls[0].secretName=tls",
    "gateway.httpRoute.enabled=true",
    "gateway.httpRoute.parentRefs[0].name=public",
    "gateway.httpRoute.parentRefs[0].namespace=infra",
    "gateway.httpRoute.parentRefs[0].sectionName=https",
    "gateway.httpRoute.hostnames={models.example.com}",
    "gateway.autoscaling.enabled=true",
    "gateway.networkPolicy.enabled=true",
    "gateway.networkPolicy.clients[0].ipBlock.cidr=10.0.0.0/8",
    "gateway.service.type=NodePort",
    "gateway.service.nodePort=30080",
    "gateway.metrics.serviceMonitor.enabled=true",
    "metrics.serviceMonitor.enabled=true",
)
"""Settings of a release with every optional object."""
_RIGHTS = (
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
)


def render(*settings: str, namespace: str = NAMESPACE, release: str = RELEASE) -> list[Object]:
    """The chart's objects; `settings` are words of `--set`."""
    words = [word for setting in settings for word in ("--set", setting)]
    text = _template(release, "--namespace", namespace, *words)
    # libyaml, and each text once: most of these tests' time would go into their reading.
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


@cache
def _template(release: str, *words: str) -> str:
    return helm("template", release, CHART, *words)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [one for one in objects if one["kind"] == kind]


def of_part(objects: list[Object], part: str) -> list[Object]:
    """Those of the operator, or of the gateway."""
    label = "app.kubernetes.io/component"
    return [one for one in objects if one["metadata"]["labels"].get(label) == part]


def the(objects: list[Object], kind: str, part: str = "operator") -> Object:
    """The only one of its kind that a part has."""
    (found,) = of_kind(of_part(objects, part), kind)
    return found


def pod_template(objects: list[Object], part: str = "operator") -> Object:
    """The pod template of a part."""
    found: Object = the(objects, "Deployment", part)["spec"]["template"]
    return found


def container(objects: list[Object], part: str = "operator") -> Object:
    """The container of a part."""
    (found,) = pod_template(objects, part)["spec"]["containers"]
    result: Object = found
    return result


def environment(objects: list[Object], part: str = "operator") -> dict[str, Any]:
    """Its variables that have a plain value."""
    return {one["name"]: one["value"] for one in container(objects, part)["env"] if "value" in one}


@contextmanager
def rights_of(api: KubeApi, namespace: str, *settings: str) -> Iterator[list[Object]]:
    """The accounts, rights and policies of a release in `namespace`, as long as it lasts."""
    rendered = render(*settings, "crds.install=false", namespace=namespace)
    objects = [one for one in rendered if one["kind"] in _RIGHTS]
    for one in objects:
        api.apply(one, fieldValidation="Strict")
    until_rights_hold(api, namespace)
    yield objects
    for one in objects:
        metadata = one["metadata"]
        api.delete(one["apiVersion"], one["kind"], metadata["name"], metadata.get("namespace", ""))


@pytest.fixture(scope="module")
def namespace(api: KubeApi) -> Iterator[str]:
    """A namespace that takes only pods of the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"generateName": "chart-", "labels": labels}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    name: str = api.create(body)["metadata"]["name"]
    yield name
    api.delete("v1", "Namespace", name)
