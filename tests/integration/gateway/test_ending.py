"""The end of a gateway process: nobody who was let in is sent away."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.integration.gateway.worlds import World
from tests.support.balancer import balanced
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess
from tests.support.traffic import traffic

pytestmark = pytest.mark.control_plane

Gateways = Callable[..., GatewayProcess]
DELAY = "MODELRUNNER_GATEWAY_DRAIN_DELAY"
TIMEOUT = "MODELRUNNER_GATEWAY_DRAIN_TIMEOUT"


@pytest.fixture
def served(world: World, runner: RunnerProcess) -> RunnerProcess:
    """The model smol, with its runner."""
    world.model("smol")
    world.endpoint("smol", runner.port)
    runner.shut()
    return runner


@contextmanager
def stream(gateway: GatewayProcess, script: str = "gated_stream") -> Iterator[Iterator[str]]:
    """The lines of a stream whose first event is here."""
    body = {"model": "smol", "stream": True, "messages": [], "script": script, "pause": 0.01}
    url = f"{gateway.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, trust_env=False, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        yield lines


def test_who_comes_after_the_signal_is_served(gateways: Gateways, served: RunnerProcess) -> None:
    """Not ready at once, so that nobody new is sent here; who comes all the same is answered."""
    gateway = gateways(**{DELAY: "300"}).serving()
    with stream(gateway) as lines:
        gateway.terminate()
        gateway.wait("not ready", lambda: gateway.probe("/readyz")[0] == 503)
        assert gateway.probe("/readyz")[1]["draining"] is True
        late = httpx.get(f"{gateway.url}/v1/models", trust_env=False, timeout=60)
        assert (late.status_code, late.headers["Connection"]) == (200, "close")
        served.open()
        assert [line for line in lines if line] == ["data: [DONE]"]
    gateway.kill()
    gateway.end()


def test_a_stream_goes_on_to_its_end(gateways: Gateways, served: RunnerProcess) -> None:
    """After SIGTERM and the delay: nobody new is let in, and the old go on to their end."""
    gateway = gateways().serving()
    with stream(gateway) as lines:
        gateway.terminate()
        gateway.wait("draining", lambda: '"draining"' in gateway.log)

        def refused() -> bool:
            try:
                httpx.get(f"{gateway.url}/v1/models", trust_env=False, timeout=60)
            except httpx.ConnectError:
                return True
            except httpx.TransportError:
                # It stood at the door when that was closed.
                return False
            return False

        gateway.wait("a closed door", refused)
        assert not gateway.ended
        served.open()
        assert [line for line in lines if line] == ["data: [DONE]"]
    assert gateway.end() == 0
    assert gateway.accesses[-1]["outcome"] == "complete"


def test_what_never_ends_is_broken_off(gateways: Gateways, served: RunnerProcess) -> None:
    """After the drain timeout; the client is not told that the stream was whole."""
    gateway = gateways(**{DELAY: "0", TIMEOUT: "0.5"}).serving()
    with stream(gateway, "endless") as lines:
        gateway.terminate()
        with pytest.raises(httpx.HTTPError):
            list(lines)
    assert gateway.end() == 0
    assert "broke off" in gateway.log


def test_who_is_held_is_held_on_and_told_at_the_end(gateways: Gateways, world: World) -> None:
    """503 and Retry-After, so that its client asks another replica."""
    world.model("asleep")
    gateway = gateways(**{DELAY: "0", TIMEOUT: "2"}).serving()
    found: list[httpx.Response] = []

    def ask() -> None:
        body = {"model": "asleep", "messages": []}
        url = f"{gateway.url}/v1/chat/completions"
        found.append(httpx.post(url, json=body, trust_env=False, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    gateway.wait("a held request", lambda: gateway.metric("held", model="asleep") == 1)
    gateway.terminate()
    thread.join()
    assert gateway.end() == 0
    # By its own clock: the request waited already when the end began.
    assert '"draining"' in gateway.log
    assert gateway.accesses[-1]["heldSeconds"] >= 2
    assert found[0].status_code == 503
    assert int(found[0].headers["Retry-After"]) >= 1
    assert found[0].json()["error"]["code"]


def test_two_replicas_are_replaced_under_load(gateways: Gateways, served: RunnerProcess) -> None:
    """As a Deployment does it: a new one is ready before an old one is told to go."""
    running = [gateways(f"old-{number}", **{DELAY: "6"}).serving() for number in range(2)]

    def ready() -> list[int]:
        urls = [one.url for one in running if one.probe("/readyz")[0] == 200]
        return [int(url.rpartition(":")[2]) for url in urls]

    body = {"model": "smol", "messages": [], "script": "chat"}
    with balanced(ready) as url, traffic(url, body, workers=2) as seen:
        for number in range(2):
            old = running[0]
            running.append(gateways(f"new-{number}", **{DELAY: "6"}).serving())
            old.terminate()
            assert old.end() == 0
            running.remove(old)
        enough = max(seen.served.total() + 20, 50)
        running[0].wait("some more requests", lambda: seen.served.total() >= enough)
    seen.require_whole(at_least=50)
    assert not any(one.ended for one in running)


def test_a_cluster_that_nobody_configured_is_told(gateways: Gateways) -> None:
    """In one line, and 1."""
    gateway = gateways(KUBECONFIG="/nonexistent")
    gateway.start()
    assert gateway.end() == 1
    assert "no usable cluster configuration" in gateway.log


def test_a_port_that_is_taken_is_told(gateways: Gateways) -> None:
    """In one line, not in a stack."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        gateway = gateways(MODELRUNNER_GATEWAY_HTTP_PORT=taken).start()
        assert gateway.end() == 1
    # uvloop and asyncio write it differently.
    assert "address already in use" in gateway.log.lower()
    assert "Traceback" not in gateway.log
