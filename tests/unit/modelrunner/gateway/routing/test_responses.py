"""Responses find the runner that keeps them."""

import json
from typing import Any

import pytest

from modelrunner.gateway.messages import Answer, Failure, Forward, Held, Outcome, Request
from modelrunner.gateway.routing.paths import ROUTES
from modelrunner.gateway.routing.responses import FollowUp, follow_up, kept_path
from modelrunner_protocol.response_ids import mark
from tests.support.gateway_world import World, answered, forwarded, header, host_of, told
from tests.support.virtual_time import virtual
from tests.unit.modelrunner.gateway.routing.test_router import bearer, ring

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
REST = "0123456789abcdef01234567"
PREFIXES = ["", "/v1", "/engines", "/engines/v1", "/engines/llama.cpp", "/engines/llama.cpp/v1"]


def made_at(host: str, word: str = "resp") -> str:
    """The ID of a response of the runner there."""
    return f"{word}_{mark(host, 8080)}{REST}"


def read(world: World, path: str, method: str = "GET", *headers: tuple[bytes, bytes]) -> Any:
    """What is decided about a request that reads or deletes one."""
    request = Request(method, path, b"", list(headers), b"", b"id", "client", world.loop.time())
    return world.router.decide(request)


def goes_on(world: World, identity: str, **more: Any) -> Any:
    """What is decided about a request that goes on from a response."""
    body = {"model": "smol", "input": "x", "previous_response_id": identity, **more}
    return world.post("/v1/responses", body)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("below", "methods"),
    [
        ("", ("GET", "HEAD", "DELETE")),
        ("/input_items", ("GET", "HEAD")),
        ("/cancel", ("POST",)),
    ],
)
def test_paths(prefix: str, below: str, methods: tuple[str, ...]) -> None:
    """Of one response, under each prefix."""
    found = kept_path(f"{prefix}/responses/resp_x{below}")
    assert found is not None
    assert (found.identity, found.methods) == ("resp_x", methods)
    assert found.engine == ("llama.cpp" if "llama" in prefix else "")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses",
        "/v1/responses/",
        "/v1/responses/x/y",
        "/v1/models/responses/x",
        "/v2/responses/x",
        "/responses/x/input_items/y",
    ],
)
def test_other_paths(path: str) -> None:
    """They are somebody else's."""
    assert kept_path(path) is None


def test_only_these_routes_are_looked_at() -> None:
    """No other route reads more of a body than it did."""
    readers = {path for path, route in ROUTES.items() if route.read is follow_up}
    assert {path.rpartition("/")[2] for path in readers} == {"responses"}


@virtual
async def test_it_is_read_where_it_was_made() -> None:
    """By all methods, at whichever of two runners."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        world.awake("ml/other", C)
        for host in (A, B, C):
            for method in ("GET", "HEAD", "DELETE"):
                forward = forwarded(read(world, f"/v1/responses/{made_at(host)}", method))
                assert forward.endpoint.address == (host, 8080)
                assert forward.endpoint.in_flight == 1
                forward.ticket.first_byte(200)
                forward.ticket.done(Outcome.COMPLETE, b"")
                assert forward.endpoint.in_flight == 0
        exchange = world.ended[0]
        assert exchange.entry is not None
        assert (exchange.route, exchange.status, exchange.endpoint) == ("responses", 200, A)
        assert exchange.entry.path == "ml/smol"
        assert exchange.entry.in_flight == 0


@virtual
async def test_what_nobody_keeps() -> None:
    """Not ours, of a runner that is gone, of a model that sleeps, of another engine."""
    async with World() as world:
        world.awake("ml/smol", A)
        world.sleeping("ml/asleep")
        for path in (
            "/v1/responses/resp_x",
            f"/v1/responses/{made_at(B)}",
            f"/engines/vllm/v1/responses/{made_at(A)}",
        ):
            assert told(read(world, path))[:2] == (404, "not_found")
        assert not world.scaler.calls


@virtual
async def test_wrong_methods() -> None:
    """They are 405, with those that are right."""
    async with World() as world:
        world.awake("ml/smol", A)
        path = f"/v1/responses/{made_at(A)}"
        answer = read(world, path, "POST")
        assert answered(answer)[0] == 405
        assert header(answer, b"allow") == b"GET, HEAD, DELETE"
        assert header(read(world, f"{path}/cancel"), b"allow") == b"POST"


@virtual
async def test_a_key_sees_those_of_its_models() -> None:
    """Others are 404: not even that they are there is told."""
    keys = ring(mine={"models": "ml/smol"}, both={}, manager={"scopes": "manage"})
    async with World(keys=keys) as world:
        world.awake("ml/smol", A)
        world.awake("ml/other", B)
        path = f"/v1/responses/{made_at(B)}"
        assert told(read(world, path, "GET", bearer("mine")))[:2] == (404, "not_found")
        assert forwarded(read(world, path, "GET", bearer("both"))).endpoint.address[0] == B
        assert told(read(world, path))[:2] == (401, "missing_api_key")
        assert told(read(world, path, "DELETE", bearer("manager")))[0] == 403


@virtual
async def test_a_runner_that_does_not_answer() -> None:
    """There is no other to ask."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        forward = forwarded(read(world, f"/v1/responses/{made_at(A)}"))
        answer = forward.ticket.failed(Failure.UNREACHABLE)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.code) == (503, "runner_unreachable")
        assert forward.endpoint.in_flight == 0


@virtual
async def test_it_goes_on_where_it_was_made() -> None:
    """However busy that runner is, and also where only items of it are named."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        for host in (A, B) * 3:
            assert host_of(goes_on(world, made_at(host))) == host
        reference = {"type": "item_reference", "id": made_at(B, "msg")}
        data = {"model": "smol", "input": [reference]}
        assert {host_of(world.post("/responses", data)) for _ in range(3)} == {B}


@virtual
async def test_who_is_gone_is_not_waited_for() -> None:
    """Another runner then says that it does not know the response; so with a foreign ID."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        for identity in (made_at(C), "resp_of_openai"):
            assert {host_of(goes_on(world, identity)) for _ in range(4)} == {A, B}
        data = {"model": "smol", "input": 'x "item_reference" y'}
        assert isinstance(world.post("/v1/responses", data), Forward)
        forward = forwarded(goes_on(world, made_at(A)))
        assert isinstance(forward.ticket.failed(Failure.UNREACHABLE), Forward)
        # It rests now, so the next one does not wait for it.
        assert host_of(goes_on(world, made_at(A))) == B


@virtual
async def test_a_sleeping_model_is_not_woken_in_vain() -> None:
    """What it kept is lost, and it says so at once; a new story wakes it."""
    async with World() as world:
        world.sleeping("ml/smol")
        assert told(goes_on(world, made_at(A)))[:2] == (400, "previous_response_not_found")
        data = {"model": "smol", "input": [{"type": "item_reference", "id": "msg_x"}]}
        assert told(world.post("/v1/responses", data))[:2] == (404, "not_found")
        assert not world.scaler.calls
        found = world.post("/v1/responses", {"model": "smol", "input": "x"})
        assert isinstance(found, Held)
        found.leave()


@pytest.mark.parametrize(
    ("body", "previous"),
    [
        ({"model": "m"}, None),
        ({"model": "m", "previous_response_id": None}, None),
        ({"model": "m", "previous_response_id": "x", "stream": True}, "x"),
    ],
)
def test_bodies(body: dict[str, Any], previous: str | None) -> None:
    """What is read of them."""
    found = follow_up(json.dumps(body).encode())
    assert isinstance(found, FollowUp)
    assert (found.model, found.previous_response_id) == ("m", previous)


@virtual
async def test_a_wrong_type() -> None:
    """A 400 that names the member."""
    async with World() as world:
        world.awake("ml/smol", A)
        status, body = answered(goes_on(world, 5))  # type: ignore[arg-type]  # it is the point
        assert (status, body["error"]["param"]) == (400, "previous_response_id")
