"""A real kube-apiserver and etcd, started once per run for the integration and contract tests."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.settings import ROOT
from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi

_CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager on loopback, shared by the whole run."""
    with ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[KubeApi]:
    """The administrator's requests to the control plane, which serves our kinds."""
    with KubeApi.connect(control_plane.kubeconfig) as client:
        install_kinds(client)
        yield client


def install_kinds(client: KubeApi) -> None:
    """Apply `crds/` and wait until the kinds are served."""
    definitions = [
        yaml.safe_load(file.read_text("utf-8")) for file in (ROOT / "crds").glob("*.yaml")
    ]
    for definition in definitions:
        client.apply(definition)
    for definition in definitions:
        name: str = definition["metadata"]["name"]
        wait_until(f"{name} served", partial(_served, client, name))


def _served(client: KubeApi, name: str) -> bool:
    definition = client.get(*_CRD, name) or {}
    # Null in the first moment of a definition's life.
    conditions = definition.get("status", {}).get("conditions") or []
    holds = {found["type"]: found["status"] for found in conditions}
    if holds.get("NonStructuralSchema") == "True":
        raise AssertionError(json.dumps(conditions))
    if holds.get("Established") != "True":
        return False
    plural, _, group = name.partition(".")
    # Established comes a moment before the API server routes to the kind.
    return client.http.get(f"/apis/{group}/v1alpha1/{plural}").is_success
