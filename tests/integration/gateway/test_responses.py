"""OpenAI's client asks a gateway in front of two real runners for responses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from modelrunner_protocol.response_ids import mark_of
from tests.integration.gateway.test_keys import make_key
from tests.integration.gateway.test_waking import ASLEEP, deployment
from tests.integration.gateway.worlds import World
from tests.support.gateway_process import GatewayProcess
from tests.support.response_events import EventReader
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

Gateways = Callable[..., GatewayProcess]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerProcess]:
    """One more runner of the same model."""
    folder = tmp_path_factory.mktemp("runner") / "r"
    with RunnerProcess("smol", folder, aliases=("gpt-x",)) as found:
        yield found


@pytest.fixture
def slices(world: World, runner: RunnerProcess, other: RunnerProcess) -> list[str]:
    """The model smol with two ready pods."""
    world.model("smol", aliases=["gpt-x"])
    return [world.endpoint("smol", one.port) for one in (runner, other)]


@pytest.fixture
def gateway(gateways: Gateways, slices: list[str]) -> GatewayProcess:
    """A gateway that serves them."""
    assert len(slices) == 2
    return gateways().serving()


def connected(gateway: GatewayProcess, key: str = "x") -> openai.OpenAI:
    """A client of a gateway, which asks once."""
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=60)


def made(client: openai.OpenAI, count: int = 6) -> list[Any]:
    """Responses of which both runners keep some."""
    found = [client.responses.create(model="smol", input="script: think") for _ in range(count)]
    assert len({mark_of(one.id) for one in found}) == 2
    return found


def test_they_are_found_again(gateway: GatewayProcess) -> None:
    """Read, listed, gone on from and deleted, whichever runner made them."""
    with connected(gateway) as client:
        for one in made(client):
            assert client.responses.retrieve(one.id).to_dict() == one.to_dict()
            item: Any
            (item,) = client.responses.input_items.list(one.id).data
            assert item.content[0].text == "script: think"
            more = client.responses.create(
                model="smol", input="script: repeat", previous_response_id=one.id
            )
            assert mark_of(more.id) == mark_of(one.id)
            messages = json.loads(more.output_text)["body"]["messages"]
            assert [message["content"] for message in messages] == [
                "script: think",
                "so",
                "script: repeat",
            ]
            client.responses.delete(one.id)
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(one.id)
    gateway.wait("the access log", lambda: len(gateway.accesses) == 36)
    assert {line["route"] for line in gateway.accesses} == {"responses"}
    # What was made is counted in the words of Responses, too.
    assert sum(line.get("tokensOut", 0) for line in gateway.accesses) >= 12 * 11


def test_streams_go_on_too(gateway: GatewayProcess) -> None:
    """Events pass the gateway as they are; the response is kept at their end."""
    with connected(gateway) as client:
        previous = ""
        for _ in range(4):
            reader = EventReader()
            for event in client.responses.create(
                model="gpt-x", input="script: tools", stream=True, previous_response_id=previous
            ):
                reader.take(event.to_dict())
            assert reader.last is not None
            assert reader.last["model"] == "gpt-x"
            previous = reader.last["id"]
        assert len(list(client.responses.input_items.list(previous, order="asc"))) == 10


@pytest.mark.parametrize("prefix", ["", "/v1", "/engines", "/engines/v1", "/engines/llama.cpp/v1"])
def test_every_prefix(gateway: GatewayProcess, prefix: str) -> None:
    """As Docker Model Runner has them."""
    with httpx.Client(base_url=f"{gateway.url}{prefix}", trust_env=False, timeout=60) as http:
        body = {"model": "smol", "input": "script: think"}
        identity = http.post("/responses", json=body).json()["id"]
        assert http.get(f"/responses/{identity}").json()["output_text"] == "so"
        assert http.get(f"/responses/{identity}/input_items").json()["object"] == "list"
        assert http.head(f"/responses/{identity}").status_code == 200
        answer = http.put(f"/responses/{identity}")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, DELETE")
        assert http.delete(f"/responses/{identity}").json()["deleted"] is True
        answer = http.get(f"/responses/{identity}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_runner_that_is_gone(gateway: GatewayProcess, world: World, slices: list[str]) -> None:
    """What it kept is lost, and that is what clients are told."""
    with connected(gateway) as client:
        found = made(client)
        kept = mark_of(found[0].id)
        world.forget(slices[0])
        url = f"{gateway.url}/v1/responses/"

        def lost() -> list[Any]:
            gone = [
                httpx.get(url + one.id, trust_env=False, timeout=60).status_code == 404
                for one in found
            ]
            return [one for one, is_gone in zip(found, gone, strict=True) if is_gone]

        gateway.wait("a runner less", lost)
        gone = lost()
        assert 0 < len(gone) < len(found)
        assert len({mark_of(one.id) for one in gone}) == 1
        for one in gone:
            with pytest.raises(openai.BadRequestError) as raised:
                client.responses.create(model="smol", input="x", previous_response_id=one.id)
            assert raised.value.code == "previous_response_not_found"
        assert kept is not None


def test_a_sleeping_model(gateways: Gateways, world: World) -> None:
    """It keeps nothing, and is not woken in order to say so."""
    world.model("smol", status=ASLEEP)
    world.api.create(deployment(world.namespace, "smol"))
    gateway = gateways().serving()
    with connected(gateway) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            client.responses.create(model="smol", input="x", previous_response_id="resp_x")
        assert raised.value.code == "previous_response_not_found"
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_x")
    assert gateway.metric("api_writes_total", verb="patch") == 0


def test_keys(gateways: Gateways, slices: list[str], world: World, tmp_path: Path) -> None:
    """A key that may not use the model does not learn that there is a response."""
    assert slices
    with RunnerProcess("other", tmp_path / "r") as process:
        world.model("other")
        world.endpoint("other", process.port)
        gateway = gateways(MODELRUNNER_GATEWAY_API_KEYS="true").serving()
        mine = make_key(world, "mine", "--models", f"{world.namespace}/smol")
        both = make_key(world, "both")
        with connected(gateway, both) as client, connected(gateway, mine) as stranger:
            gateway.wait("the keys", lambda: _lists(client) and _lists(stranger))
            one = client.responses.create(model="other", input="script: think")
            assert client.responses.retrieve(one.id).id == one.id
            with pytest.raises(openai.NotFoundError):
                stranger.responses.retrieve(one.id)
            with pytest.raises(openai.NotFoundError):
                stranger.responses.delete(one.id)
            assert client.responses.retrieve(one.id).id == one.id


def _lists(client: openai.OpenAI) -> bool:
    try:
        return bool(client.models.list().data)
    except openai.AuthenticationError:
        return False
