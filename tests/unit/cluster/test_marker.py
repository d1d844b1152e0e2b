"""Clusters without the mark are refused."""

from pathlib import Path

import pytest

from tests.cluster import marker
from tests.cluster.errors import ClusterError


def kubectl(folder: Path, answer: str, status: int = 0) -> Path:
    """A kubectl that answers every question the same and keeps its arguments."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\necho \"$@\" >{folder}/asked\necho '{answer}'\nexit {status}\n")
    program.chmod(0o755)
    return program


def test_a_marked_cluster_is_accepted(tmp_path: Path) -> None:
    """The mark is looked for in the cluster of this kubeconfig, in kube-system."""
    marker.require(kubectl(tmp_path, "true"), Path("/some/kubeconfig"))
    asked = (tmp_path / "asked").read_text()
    assert "--kubeconfig=/some/kubeconfig" in asked
    assert "-n kube-system get configmap model-runner-tests" in asked


@pytest.mark.parametrize("answer", ["", "false", "yes"])
def test_an_unmarked_cluster_is_refused_with_the_command_that_marks_it(
    tmp_path: Path, answer: str
) -> None:
    """A user who means it can copy the command; nobody loses a cluster by accident."""
    with pytest.raises(ClusterError) as error:
        marker.require(kubectl(tmp_path, answer), Path("/some/kubeconfig"))
    assert (
        "kubectl --kubeconfig /some/kubeconfig -n kube-system create configmap "
        "model-runner-tests --from-literal=allow-tests=true"
    ) in str(error.value)


def test_a_cluster_that_does_not_answer_is_not_called_unmarked(tmp_path: Path) -> None:
    """The message must not make anybody mark a cluster that is merely unreachable."""
    with pytest.raises(ClusterError, match="cannot be asked") as error:
        marker.require(kubectl(tmp_path, "no route", status=1), Path("/some/kubeconfig"))
    assert "create configmap" not in str(error.value)


def test_the_manifest_carries_the_mark_that_is_looked_for() -> None:
    """Our own clusters would be refused otherwise."""
    text = marker.MANIFEST.read_text()
    assert f"name: {marker.CONFIG_MAP}, namespace: {marker.NAMESPACE}" in text
    assert f'{marker.KEY}: "true"' in text
