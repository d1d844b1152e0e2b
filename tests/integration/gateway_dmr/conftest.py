"""A gateway through which models were pulled, and real runners with a real engine behind it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from modelrunner_protocol.wire import Mode
from tests.integration.gateway.worlds import World
from tests.integration.gateway_dmr.served import MODES, Served
from tests.integration.gateway_management.conftest import Homes, homes
from tests.support.addresses import borrowed
from tests.support.engine import Engine, engine
from tests.support.runner_process import RunnerProcess

__all__ = ["engine", "homes"]


@pytest.fixture(scope="module")
def borrow() -> Iterator[Callable[[], str]]:
    """Addresses that EndpointSlices accept."""
    with ExitStack() as kept:
        yield lambda: kept.enter_context(borrowed())


@pytest.fixture(scope="session")
def runners(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, RunnerProcess]]:
    """One model in each mode, by its reference."""
    folder = tmp_path_factory.mktemp("runners")
    with ExitStack() as stack:
        made = {
            name: RunnerProcess(
                name.removeprefix("ai/"),
                folder / mode,
                aliases=(f"{name}:latest",),
                program=engine.llama_server,
                weights=str(engine.model),
                mode=mode,
                context_size=2048,
                runtime_flags=("--threads", "1", "--parallel", "2"),
            )
            for name, mode in MODES.items()
        }
        yield {name: stack.enter_context(one) for name, one in made.items()}


@pytest.fixture(scope="module")
def served(homes: Homes, borrow: Callable[[], str], runners: dict[str, RunnerProcess]) -> Served:
    """A gateway with management, through which the model of the recording was pulled."""
    home = homes("gateway.management.enabled=true", MODELRUNNER_GATEWAY_ORIGINS="http://localhost")
    found = Served(home, World(home.api, home.namespace, borrow), runners)
    found.pull("ai/smollm2")
    return found


@pytest.fixture(scope="module")
def all_modes(served: Served) -> Served:
    """The same with two models more, which embed and rank."""
    for name, mode in MODES.items():
        if mode is not Mode.COMPLETION:
            served.pull(name)
    return served
