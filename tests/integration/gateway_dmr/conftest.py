"""A gateway through which models were pulled, and real runners with a real engine behind it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from modelrunner_protocol.wire import Mode
from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway.worlds import World
from tests.integration.gateway_dmr.served import MODES, Served
from tests.integration.gateway_management.conftest import Homes, homes
from tests.integration.gateway_management.homes import Home
from tests.support.addresses import borrowed
from tests.support.engine import Engine, engine
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

__all__ = ["engine", "homes"]


@pytest.fixture(scope="module")
def borrow() -> Iterator[Callable[[], str]]:
    """Addresses that EndpointSlices accept."""
    with ExitStack() as kept:
        yield lambda: kept.enter_context(borrowed())


@pytest.fixture(scope="module")
def home(homes: Homes) -> Home:
    """A gateway through which models are managed, and which one page may ask."""
    return homes("gateway.management.enabled=true", MODELRUNNER_GATEWAY_ORIGINS="http://localhost")


@pytest.fixture(scope="module")
def start(
    home: Home, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], RunnerProcess]]:
    """`start("ai/smollm2")`: a runner of that model, in its mode."""
    folder = tmp_path_factory.mktemp("runners")
    with ExitStack() as stack:

        def make(name: str) -> RunnerProcess:
            made = RunnerProcess(
                name.removeprefix("ai/"),
                folder / MODES[name],
                aliases=(f"{name}:latest",),
                namespace=home.namespace,
                program=engine.llama_server,
                weights=str(engine.model),
                mode=MODES[name],
                context_size=2048,
                runtime_flags=("--threads", "1", "--parallel", "2"),
            )
            return stack.enter_context(made)

        yield make


@pytest.fixture(scope="module")
def served(home: Home, borrow: Callable[[], str], start: Callable[[str], RunnerProcess]) -> Served:
    """A gateway with management, through which the model of the recording was pulled."""
    found = Served(home, World(home.api, home.namespace, borrow), start)
    found.pull("ai/smollm2")
    return found


@pytest.fixture(scope="module")
def all_modes(served: Served) -> Served:
    """The same with two models more, which embed and rank."""
    for name, mode in MODES.items():
        if mode is not Mode.COMPLETION:
            served.pull(name)
    return served


Gateways = Callable[..., GatewayProcess]


@pytest.fixture(scope="module")
def gateways(
    all_modes: Served, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    """`gateways(SETTING="x")` starts one more gateway over the same models, without management."""
    with ExitStack() as stack:

        def make(**settings: str) -> GatewayProcess:
            folder = tmp_path_factory.mktemp("more") / "gateway"
            made = GatewayProcess(
                control_plane.kubeconfig, all_modes.home.namespace, folder, **settings
            )
            return stack.enter_context(made).serving()

        yield make
