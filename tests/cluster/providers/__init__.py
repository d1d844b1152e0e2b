"""The choice of a cluster for this machine."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster import build as builds
from tests.cluster.commands import succeeds
from tests.cluster.providers.base import Provider
from tests.cluster.providers.embedded import EmbeddedCluster
from tests.cluster.providers.existing import KUBECONFIG, ExistingCluster
from tests.cluster.providers.kind import KindCluster
from tests.cluster.settings import run_folder

__all__ = ["Provider", "choose"]


def choose(
    environment: Mapping[str, str] = os.environ,
    *,
    docker_answers: Callable[[], bool] | None = None,
    find_program: Callable[[str], Path | None] | None = None,
) -> Provider:
    """The provider of this machine: a given cluster, else kind, else the embedded one.

    An embedded cluster that is up, or left something behind, stays the choice when Docker is
    started later: else nothing would take it down.

    Args:
        environment: MODEL_RUNNER_TEST_KUBECONFIG names a given cluster, MODEL_RUNNER_RUN the
            folder of the others.
        docker_answers: whether a Docker daemon really runs, by default `docker info`.
        find_program: where a program is, by default in PATH, then among the built ones.
    """
    docker_answers = docker_answers or _docker_answers
    find_program = find_program or _find_program
    kubectl = find_program("kubectl") or "kubectl"
    if environment.get(KUBECONFIG):
        return ExistingCluster(environment, kubectl)
    folder = run_folder(environment)
    embedded = EmbeddedCluster(folder)
    if embedded.exists:
        return embedded
    kind = find_program("kind")
    if kind and docker_answers():
        return KindCluster(kind, kubectl, folder)
    return embedded


def _docker_answers() -> bool:
    return shutil.which("docker") is not None and succeeds("docker", "info", timeout=10)


def _find_program(name: str) -> Path | None:
    if found := shutil.which(name):
        return Path(found)
    build = builds.newest()
    if build and (build.programs / name).exists():
        return build.programs / name
    return None
