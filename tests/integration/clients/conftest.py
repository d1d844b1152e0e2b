"""A stand-alone server with real models from a real registry, and one before a scripted engine."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clients.driving import Desk
from tests.support.clients.expectations import CHAT_MODEL, EMBEDDING_MODEL, STEADY
from tests.support.clients.installs import clients_ready
from tests.support.clients.models import stocked_registry, usual_stock
from tests.support.engine import Engine, engine
from tests.support.serving import Serving, scripted_program, stock

__all__ = ["clients_ready", "engine"]


@pytest.fixture(scope="session")
def desk(clients_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Where clients run."""
    return Desk.prepare(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="session")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """It pulls the model that chats and the one that embeds when it starts."""
    registry_folder = tmp_path_factory.mktemp("registry")
    models = usual_stock(engine.model, registry_folder)
    with stocked_registry(registry_folder, models) as registry:
        settings: dict[str, Any] = {
            "DEFAULT_REGISTRY": registry.address,
            "INSECURE_REGISTRY": "true",
            "MODELS": f"{CHAT_MODEL},{EMBEDDING_MODEL}",
            "LLAMA_ARGS": " ".join(("--metrics", *STEADY)),
        }
        folder = tmp_path_factory.mktemp("server")
        with Serving(folder, engine.llama_server, **settings) as found:
            yield found


@pytest.fixture(scope="session")
def scripted(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose engine calls tools: a model of a size for tests calls none."""
    folder = tmp_path_factory.mktemp("scripted")
    stock(folder / "models", engine.model, f"{CHAT_MODEL}:latest")
    with Serving(folder, scripted_program(folder)) as found:
        yield found
