"""The definitions of `crds/` in a real API server, and a namespace for each test module."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubeapi import KubeApi, Object

ROOT = Path(__file__).parents[3]


def documents(folder: str) -> list[Object]:
    """All YAML documents of a folder of the repository."""
    paths = sorted((ROOT / folder).glob("*.yaml"))
    return [yaml.safe_load(path.read_text("utf-8")) for path in paths]


@pytest.fixture(scope="module")
def namespace(api: KubeApi) -> Iterator[str]:
    """A namespace that is deleted when the module's tests are done."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "crds-"}}
    name: str = api.create(body)["metadata"]["name"]
    yield name
    api.delete("v1", "Namespace", name)


def model(namespace: str, spec: Any, name: str = "smollm2") -> Object:
    """A Model with this spec."""
    return _custom("Model", namespace, name, spec)


def runner(namespace: str, spec: Any, name: str = "default") -> Object:
    """A ModelRunner with this spec."""
    return _custom("ModelRunner", namespace, name, spec)


def _custom(kind: str, namespace: str, name: str, spec: Any) -> Object:
    return {
        "apiVersion": "modelrunner.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
