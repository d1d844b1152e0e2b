"""A server with one real model, and a registry that it trusts."""

from collections.abc import Iterator

import pytest

from tests.support.engine import Engine, engine
from tests.support.registry_process import RegistryProcess, running_registry
from tests.support.serving import SMOLLM2, Serving, stock

__all__ = ["engine"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """An empty one."""
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """`runnerd serve` as the recorded server was: two places for engines, one model."""
    folder = tmp_path_factory.mktemp("recorded")
    stock(folder / "models", engine.model, SMOLLM2)
    with Serving(folder, engine.llama_server, RUNNERD_SLOTS="2", INSECURE_REGISTRY="true") as found:
        yield found
