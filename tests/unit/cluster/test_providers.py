"""Which cluster is chosen."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers import choose

Finder = Callable[[str], Path | None]


def with_kind(name: str) -> Path | None:
    """A machine that has every program."""
    return Path("/programs") / name


def without_kind(name: str) -> Path | None:
    """A machine that has only kubectl."""
    return Path("/programs/kubectl") if name == "kubectl" else None


@pytest.mark.parametrize(
    ("given", "docker", "finder", "expected"),
    [
        (True, True, with_kind, "existing"),
        (False, True, with_kind, "kind"),
        (False, True, without_kind, "embedded"),
        (False, False, with_kind, "embedded"),
        (False, False, without_kind, "embedded"),
    ],
)
def test_order(given: bool, docker: bool, finder: Finder, expected: str, tmp_path: Path) -> None:
    """A given cluster wins over kind, kind needs a daemon that answers, embedded is the last."""
    environment = {"MODEL_RUNNER_RUN": str(tmp_path / "run")}
    if given:
        environment["MODEL_RUNNER_TEST_KUBECONFIG"] = str(tmp_path / "kubeconfig")
    provider = choose(environment, docker_answers=lambda: docker, find_program=finder)
    assert provider.name == expected


def test_an_embedded_cluster_that_is_there_stays_the_choice(tmp_path: Path) -> None:
    """Docker started later must not orphan it."""
    (tmp_path / "cluster").mkdir()
    environment = {"MODEL_RUNNER_RUN": str(tmp_path)}
    provider = choose(environment, docker_answers=lambda: True, find_program=with_kind)
    assert provider.name == "embedded"


def test_docker_is_not_asked_when_a_cluster_is_given(tmp_path: Path) -> None:
    """A hanging Docker daemon does not delay those who do not use it."""

    def asked() -> bool:
        raise AssertionError("Docker was asked")

    environment = {"MODEL_RUNNER_TEST_KUBECONFIG": str(tmp_path / "config")}
    provider = choose(environment, docker_answers=asked, find_program=with_kind)
    assert provider.kubeconfig == tmp_path / "config"


def test_a_given_cluster_tells_what_it_cannot_know(tmp_path: Path) -> None:
    """What only the user can know is asked for by the name of the variable."""
    environment = {"MODEL_RUNNER_TEST_KUBECONFIG": str(tmp_path / "missing")}
    provider = choose(environment, find_program=without_kind)
    with pytest.raises(ClusterError, match="MODEL_RUNNER_TEST_HOST_ADDRESS"):
        _ = provider.host_address
    with pytest.raises(ClusterError, match=r"MODEL_RUNNER_TEST_KUBECONFIG names .*missing"):
        provider.up(Progress())


@pytest.mark.parametrize("docker", [True, False])
def test_all_folders_follow_the_environment(tmp_path: Path, docker: bool) -> None:
    """Two users of one machine can keep their files apart."""
    environment = {"MODEL_RUNNER_RUN": str(tmp_path)}
    provider = choose(environment, docker_answers=lambda: docker, find_program=with_kind)
    assert provider.kubeconfig.is_relative_to(tmp_path)
