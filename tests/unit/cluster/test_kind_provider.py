"""The kind provider's conversation with kind and kubectl."""

import io
from pathlib import Path

import pytest

from tests.cluster.progress import Progress
from tests.cluster.providers.kind import CONFIG, KindCluster

# A kind that knows one cluster once it was created, and writes down what it was asked.
KIND = """#!/bin/sh
cd {folder} && echo "kind $*" >>asked
case "$1 $2" in
"create cluster") touch created && touch run/kind.kubeconfig ;;
"delete cluster") rm created ;;
"get clusters") [ ! -e created ] || echo model-runner-operator ;;
esac
"""
KUBECTL = '#!/bin/sh\necho "kubectl $*" >>{folder}/asked\n'


@pytest.fixture
def cluster(tmp_path: Path) -> KindCluster:
    """A provider with scripted programs; `asked` holds the calls."""
    for name, text in (("kind", KIND), ("kubectl", KUBECTL)):
        (tmp_path / name).write_text(text.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    return KindCluster(tmp_path / "kind", tmp_path / "kubectl", tmp_path / "run")


def test_a_cluster_is_created_once_marked_and_deleted(cluster: KindCluster, tmp_path: Path) -> None:
    """Up, up, down, down: one create with our file and kubeconfig, the mark, one delete."""
    progress = Progress(io.StringIO())
    cluster.up(progress)
    cluster.up(progress)
    cluster.down(progress)
    cluster.down(progress)
    asked = (tmp_path / "asked").read_text().splitlines()
    (create,) = [line for line in asked if line.startswith("kind create")]
    assert f"--config={CONFIG}" in create
    assert f"--kubeconfig={cluster.kubeconfig}" in create
    (mark,) = [line for line in asked if "marker.yaml" in line]
    assert f"kubectl --kubeconfig={cluster.kubeconfig} apply" in mark
    assert len([line for line in asked if line.startswith("kind delete")]) == 1
    assert not cluster.running()


def test_images_go_into_this_cluster(cluster: KindCluster, tmp_path: Path) -> None:
    """Another kind cluster of the user is not touched."""
    cluster.load_images([tmp_path / "image.tar"], Progress(io.StringIO()))
    asked = (tmp_path / "asked").read_text().strip()
    expected = f"kind load image-archive {tmp_path}/image.tar --name=model-runner-operator"
    assert asked == expected
