"""Paths of resources."""

import pytest

from modelrunner.kube.resources import CRDS, DEPLOYMENTS, MODELS, PODS


def test_paths_of_objects_and_collections() -> None:
    """Core and grouped, namespaced and not, with a subresource, names escaped."""
    assert PODS.path("ns") == "/api/v1/namespaces/ns/pods"
    assert PODS.path() == "/api/v1/pods"
    assert DEPLOYMENTS.path("ns", "d", "scale") == "/apis/apps/v1/namespaces/ns/deployments/d/scale"
    assert CRDS.path(None, "x") == "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x"
    assert PODS.path("n/s", "../x") == "/api/v1/namespaces/n%2Fs/pods/..%2Fx"


def test_names_people_know() -> None:
    """Labels of metrics are those of RBAC and kubectl."""
    assert (PODS.label, DEPLOYMENTS.label) == ("pods", "deployments.apps")
    assert (PODS.api_version, MODELS.api_version) == ("v1", "modelrunner.dev/v1alpha1")


def test_a_namespaced_object_needs_its_namespace() -> None:
    """A path that would mean another object is not built."""
    with pytest.raises(ValueError, match="namespace"):
        PODS.path(None, "p")
