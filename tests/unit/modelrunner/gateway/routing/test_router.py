"""What happens to each request, in order."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.gateway.messages import Answer, Failure, Forward, Held, Outcome, Request
from modelrunner.gateway.routing.router import MODELS_HEADER, SCOPES_HEADER
from tests.support import virtual_time
from tests.support.gateway_world import (
    CHAT,
    World,
    answered,
    forwarded,
    header,
    held,
    host_of,
    told,
)
from tests.support.virtual_time import virtual

A, B = "10.0.0.1", "10.0.0.2"
USAGE = b'{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 11}}'


def ring(**keys: dict[str, str]) -> KeyRing:
    """Keys by name; each is presented as `sk-NAME`."""
    found = KeyRing()
    for name, fields in keys.items():
        digest = hashlib.sha256(f"sk-{name}".encode()).hexdigest()
        data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
        data["sha256"] = base64.b64encode(digest.encode()).decode()
        found.put({"metadata": {"name": name}, "data": data})
    return found


def bearer(name: str) -> tuple[bytes, bytes]:
    """The header of a client that has this key."""
    return b"authorization", f"Bearer sk-{name}".encode()


@virtual
async def test_a_ready_model_is_answered_by_a_runner() -> None:
    """The path and the body are the client's; what was counted is counted back."""
    async with World() as world:
        entry = world.awake("ml/smol", A)
        forward = forwarded(world.chat("smol", stream=True))
        assert forward.endpoint.address == (A, 8080)
        assert forward.path is None
        assert forward.extra == []
        assert forward.endpoint.in_flight == entry.in_flight == 1
        await asyncio.sleep(0.25)
        forward.ticket.first_byte(200)
        await asyncio.sleep(1)
        forward.ticket.done(Outcome.COMPLETE, USAGE)
        assert forward.endpoint.in_flight == entry.in_flight == 0
        (exchange,) = world.ended
        assert (exchange.status, exchange.outcome, exchange.endpoint) == (200, "complete", A)
        assert (exchange.route, exchange.dialect, exchange.stream) == (
            "chat_completions",
            "openai",
            True,
        )
        assert (exchange.tokens_in, exchange.tokens_out, exchange.held) == (7, 11, 0.0)
        assert exchange.first_byte_at - exchange.received_at == pytest.approx(0.25)


@virtual
async def test_a_runner_is_told_whose_another_name_is() -> None:
    """It learns of a new alias only when it starts; its own name needs no word."""
    async with World() as world:
        world.awake("ml/smol", A)
        for name, told_ in (("smol", []), ("ai/smol", [b"ml/smol"]), ("ml/smol", [b"ml/smol"])):
            request = _chat(world, name)
            forwarded(world.router.decide(request))
            assert [v for k, v in request.headers if k == b"x-model-resolved"] == told_


def _chat(world: World, name: str) -> Request:
    body = json.dumps({"model": name, "messages": []}).encode()
    return Request("POST", CHAT, b"", [], body, b"id-1", "10.1.1.1", world.loop.time())


@virtual
async def test_the_least_busy_runner_is_asked() -> None:
    """Requests in flight are counted for each endpoint."""
    async with World() as world:
        world.awake("ml/smol", A, B)
        hosts = [host_of(world.chat("smol")) for _ in range(4)]
        assert sorted(hosts) == [A, A, B, B]


@virtual
async def test_an_end_that_is_told_twice_is_counted_once() -> None:
    """Whatever the front tells after the end."""
    async with World() as world:
        entry = world.awake("ml/smol", A)
        ticket = forwarded(world.chat("smol")).ticket
        ticket.done(Outcome.CLIENT_LEFT, b"")
        ticket.done(Outcome.COMPLETE, USAGE)
        assert isinstance(ticket.failed(Failure.RESET), Answer)
        assert entry.in_flight == entry.ready[0].in_flight == 0
        assert [exchange.outcome for exchange in world.ended] == ["client_left"]


@virtual
async def test_a_broken_stream_ends_in_an_event_of_its_dialect() -> None:
    """Nobody may take it for whole."""
    async with World() as world:
        world.awake("ml/smol", A)
        openai = forwarded(world.chat("smol", stream=True)).ticket
        assert openai.broken_event().startswith(b'data: {"error": {"message": "The runner ended')
        anthropic = forwarded(world.post("/v1/messages", {"model": "smol"})).ticket
        assert anthropic.broken_event().startswith(b'event: error\ndata: {"type": "error"')
        openai.first_byte(200)
        openai.done(Outcome.BROKEN_OFF, b"")
        assert world.ended[0].outcome == "broken_off"


@virtual
async def test_unknown_models_are_404() -> None:
    """In the dialect of the path, with the name as it was written, shortened."""
    async with World() as world:
        status, code, message = told(world.chat("nope"))
        assert (status, code) == (404, "model_not_found")
        assert message.startswith("The model `nope` does not exist here")
        status, body = answered(world.post("/anthropic/v1/messages", {"model": "nope"}))
        assert (status, body["error"]["type"], body["request_id"]) == (
            404,
            "not_found_error",
            "id-1",
        )
        assert len(told(world.chat("x" * 10_000))[2]) < 400
        assert world.meters.nobody.requests == {
            ("chat_completions", "openai", 4): 2,
            ("messages", "anthropic", 4): 1,
        }


@virtual
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"messages": []}, "model_required", "model"),
        ({"model": ""}, "model_required", "model"),
        ({"model": None}, "model_required", "model"),
        ({"model": 3}, "invalid_request", "model"),
        ({"model": "smol", "stream": "yes"}, "invalid_request", "stream"),
        ([1], "invalid_request", None),
        (b"", "invalid_request", None),
        (b"{not json", "invalid_request", None),
    ],
)
async def test_bodies_that_lead_nowhere_are_400(body: Any, code: str, param: str | None) -> None:
    """With a sentence and the field."""
    async with World() as world:
        world.awake("ml/smol", A)
        status, found = answered(world.post(CHAT, body))
        assert (status, found["error"]["code"], found["error"]["param"]) == (400, code, param)
        assert found["error"]["type"] == "invalid_request_error"


@virtual
async def test_an_encoded_body_is_told_to_come_plain() -> None:
    """415: it would be "not JSON" without a hint why."""
    async with World() as world:
        decision = world.post(CHAT, b"\x1f\x8b\x08", (b"content-encoding", b"gzip"))
        assert told(decision)[:2] == (415, "unsupported_encoding")


@virtual
async def test_the_engine_in_the_path_must_be_the_models() -> None:
    """400 names the one it runs on; 404 for an engine that nobody has."""
    async with World() as world:
        world.awake("ml/smol", A)
        path = "/engines/{}/v1/chat/completions"
        assert host_of(world.post(path.format("llama.cpp"), {"model": "smol"})) == A
        status, code, message = told(world.post(path.format("vllm"), {"model": "smol"}))
        assert (status, code) == (400, "wrong_engine")
        assert message.startswith("The model ml/smol runs on llama.cpp, not on vllm")
        status, code, message = told(world.post(path.format("bogus"), {"model": "smol"}))
        assert (status, code) == (404, "engine_not_found")
        assert "`bogus`" in message
        assert "llama.cpp, vllm" in message


@virtual
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_a_wrong_method_is_405(method: str) -> None:
    """And says which is right."""
    async with World() as world:
        decision = world.post("/v1/messages", b"", method=method)
        status, body = answered(decision)
        assert (status, body["error"]["type"]) == (405, "invalid_request_error")
        assert header(decision, b"allow") == b"POST"


@virtual
async def test_everything_else_is_the_back_offices() -> None:
    """What the client claims about itself does not reach it."""
    async with World() as world:
        forged = (MODELS_HEADER, b"*")
        for method, path in (("GET", "/v1/models"), ("GET", "/"), ("POST", "/nowhere")):
            headers = [forged, (b"accept", b"*/*")]
            request = Request(method, path, b"", headers, b"", b"id", "10.1.1.1", 0.0)
            forward = forwarded(world.router.decide(request))
            assert forward.endpoint is world.back_office
            assert request.headers == [(b"accept", b"*/*")]
            forward.ticket.first_byte(200)
            forward.ticket.done(Outcome.COMPLETE, b"{}")
            forward.ticket.done(Outcome.COMPLETE, b"{}")
        assert world.back_office.in_flight == 0
        assert world.meters.nobody.requests == {("back_office", "openai", 2): 3}


@virtual
async def test_a_back_office_that_fails_is_503() -> None:
    """There is no other one to ask."""
    async with World() as world:
        ticket = forwarded(world.post("/v1/models", b"", method="GET")).ticket
        assert told(ticket.failed(Failure.UNREACHABLE))[:2] == (503, "internal_error")
        assert b"not complete" in ticket.broken_event()
        assert world.back_office.in_flight == 0
        assert len(world.ended) == 1


@virtual
async def test_keys_are_asked_for_first() -> None:
    """401 before anything about models or bodies is told, in the dialect of the path."""
    async with World(keys=ring(good={})) as world:
        world.awake("ml/smol", A)
        missing = world.chat("nope")
        status, code, message = told(missing)
        assert (status, code) == (401, "missing_api_key")
        assert message.startswith("An API key is needed")
        assert header(missing, b"www-authenticate") == b"Bearer"
        assert told(world.chat("smol", bearer("bad")))[:2] == (401, "invalid_api_key")
        status, body = answered(world.post("/v1/messages", {}, (b"x-api-key", b"no")))
        assert (status, body["error"]["type"]) == (401, "authentication_error")
        assert told(world.post("/v1/models", b"", method="GET"))[0] == 401
        assert host_of(world.chat("smol", bearer("good"))) == A
        sent = forwarded(world.post("/v1/messages", {"model": "smol"}, (b"x-api-key", b"sk-good")))
        sent.ticket.done(Outcome.COMPLETE, b"")
        assert world.ended[-1].key == "good"


@virtual
@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/version"])
async def test_probes_need_no_key(path: str) -> None:
    """Load balancers have none."""
    async with World(keys=ring()) as world:
        assert forwarded(world.post(path, b"", method="GET")).endpoint is world.back_office
        assert told(world.post("/metrics", b"", method="GET"))[0] == 401


@virtual
async def test_a_key_opens_its_models_only() -> None:
    """403 for others; lists are told which ones it may see."""
    async with World(keys=ring(team={"models": "ml/*"}, ops={"scopes": "manage"})) as world:
        world.awake("ml/smol", A)
        world.awake("web/other", B)
        assert host_of(world.chat("smol", bearer("team"))) == A
        assert told(world.chat("other", bearer("team")))[:2] == (403, "model_not_allowed")
        assert told(world.chat("nope", bearer("team")))[:2] == (404, "model_not_found")
        assert told(world.chat("smol", bearer("ops")))[:2] == (403, "insufficient_scope")
        headers = [bearer("team"), (MODELS_HEADER, b"*"), (SCOPES_HEADER, b"manage")]
        request = Request("GET", "/v1/models", b"", headers, b"", b"id", "10.1.1.1", 0.0)
        assert forwarded(world.router.decide(request)).endpoint is world.back_office
        scopes = (SCOPES_HEADER, b"infer")
        assert request.headers == [bearer("team"), (MODELS_HEADER, b"ml/*"), scopes]


@virtual
async def test_limits_refuse_with_429_and_count_those_who_wait() -> None:
    """Whoever is held, forwarded or sent again is in; whoever has ended is out."""
    async with World() as world:
        entry = world.sleeping("ml/smol", limits={"concurrentRequests": 2})
        waiting = [held(world.chat("smol")) for _ in range(2)]
        refused = world.chat("smol")
        assert told(refused)[0] == 429
        assert header(refused, b"retry-after") == b"1"
        waiting[0].leave()
        assert entry.in_flight == 1
        world.pods("ml/smol", ready=[A])
        await world.settled()
        again = held(forwarded(waiting[1].decided.result()).ticket.failed(Failure.UNREACHABLE))
        assert entry.in_flight == 1
        again.leave()
        assert entry.in_flight == 0


@virtual
@pytest.mark.parametrize(
    ("path", "streams"),
    [
        (CHAT, True),
        ("/engines/llama.cpp/v1/completions", True),
        ("/responses", True),
        ("/anthropic/v1/messages", True),
        ("/v1/messages/count_tokens", False),
        ("/v1/embeddings", False),
        ("/rerank", False),
        ("/score", False),
    ],
)
async def test_only_what_can_be_streamed_is_kept_alive_as_a_stream(
    path: str, streams: bool
) -> None:
    """An embedding with `stream` in its body waits for JSON all the same."""
    async with World() as world:
        world.sleeping("ml/smol")
        assert held(world.post(path, {"model": "smol", "stream": True})).stream is streams


@virtual
async def test_a_keys_own_limits_hold() -> None:
    """Counted in and out for the key as for the model."""
    async with World(keys=ring(one={"maxConcurrent": "1"})) as world:
        world.awake("ml/smol", A)
        sent = forwarded(world.chat("smol", bearer("one")))
        assert told(world.chat("smol", bearer("one")))[0] == 429
        sent.ticket.done(Outcome.COMPLETE, b"")
        forwarded(world.chat("smol", bearer("one")))


@virtual
async def test_the_fronts_errors_are_in_the_dialect_of_the_path() -> None:
    """And counted by their code."""
    async with World() as world:
        status, code, _ = told(world.router.refuse(CHAT, 413, "body_too_large", "m"))
        assert (status, code) == (413, "body_too_large")
        answer = world.router.refuse("/v1/messages", 503, "too_many_connections", "m")
        assert answered(answer)[1]["type"] == "error"
        assert header(answer, b"retry-after") == b"1"
        assert world.meters.rejected == {"body_too_large": 1, "too_many_connections": 1}


@virtual
async def test_refusals_after_sending_are_told_apart_from_answers() -> None:
    """An answer of ours has no endpoint and carries its code."""
    async with World() as world:
        world.awake("ml/smol", A)
        forwarded(world.chat("smol")).ticket.failed(Failure.TIMEOUT)
        (exchange,) = world.ended
        assert (exchange.status, exchange.code, exchange.endpoint) == (504, "upstream_timeout", "")


_PATHS = st.sampled_from([CHAT, "/v1/messages", "/rerank", "/engines/x/v1/completions", "/api/x"])


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(["POST", "GET", "X"]),
    path=_PATHS | st.text(max_size=30).map(lambda text: f"/{text}"),
    body=st.binary(max_size=60) | st.just(b'{"model": "smol"}'),
    key=st.binary(max_size=10) | st.just(b"Bearer sk-good"),
)
def test_whatever_a_client_sends_is_decided(
    method: str, path: str, body: bytes, key: bytes
) -> None:
    """No request raises, and what is refused is refused with a JSON body."""

    async def scenario() -> None:
        async with World(keys=ring(good={})) as world:
            world.awake("ml/smol", A)
            decision = world.post(path, body, (b"authorization", key), method=method)
            assert isinstance(decision, Answer | Forward | Held)
            if isinstance(decision, Answer):
                status, found = answered(decision)
                assert 400 <= status < 500
                assert found["error"]

    virtual_time.run(scenario())
