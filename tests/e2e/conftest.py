"""The product on a real cluster, installed once per run; a namespace of its own for each test.

Most tests wait, for pods and for engines, so two files of them run side by side (`make test`). Those
that change what all share, the release or the node, are marked `alone` and run by themselves.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.cluster.locks import locked
from tests.cluster.progress import Progress
from tests.support import manifests
from tests.support.gateway import NAME, gateway_client
from tests.support.stack import SYSTEM_NAMESPACE, Stack, connect

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The cluster with the chart installed, and a file server that pods reach.

    The cluster stays up after the run, so that the next one starts in a second; `make down`
    removes it.
    """
    folder, progress = tmp_path_factory.getbasetemp(), Progress()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers of this run
    installed = folder / "installed"
    with ExitStack() as held:
        with locked(folder / "stack.lock", what="the cluster", progress=progress):
            running = held.enter_context(connect(progress))
            if not installed.exists():
                running.install()
                installed.touch()
        yield running


@pytest.fixture
def namespace(stack: Stack) -> Iterator[str]:
    """A new namespace under the restricted Pod Security Standard, removed afterwards."""
    name = f"test-{stack.run_id}-{next(_numbers)}"
    stack.apply(manifests.namespace(name))
    yield name
    stack.delete("namespaces", "", name)


@pytest.fixture
def default_runner(stack: Stack, namespace: str) -> str:
    """A namespace that holds a ModelRunner called default."""
    stack.apply(manifests.runner(namespace))
    return namespace


@pytest.fixture
def gateway(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the gateway."""
    with gateway_client(stack) as client:
        yield client


@pytest.fixture
def gateway_address(stack: Stack) -> Iterator[str]:
    """The gateway's URL."""
    with stack.address(SYSTEM_NAMESPACE, NAME) as url:
        yield url
