"""Errors as the real clients read them.

The readers below do what the published clients do with an error (openai 3.54 `_streaming.py`,
`_base_client.py`; anthropic 2.12 `_streaming.py`; ollama 0.6 `_client.py`), no more.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.dialects import (
    ANTHROPIC,
    DMR,
    OLLAMA,
    OPENAI,
    RESPONSES,
    Dialect,
    dialect_of,
)

ALL = (OPENAI, RESPONSES, ANTHROPIC, OLLAMA)
STATUSES = (400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 502, 503, 504)
ANTHROPIC_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
}


def events(raw: bytes) -> Iterator[tuple[str | None, str]]:
    """Name and data of each event of a stream (WHATWG HTML, 9.2.6).

    Lines are those of `str.splitlines`, as httpx has them: more than the standard's.
    """
    name: str | None = None
    data: list[str] = []
    for line in raw.decode().splitlines():
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = None, []
        elif not line.startswith(":"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)


def openai_stream(raw: bytes) -> str:
    """The message that openai-python raises for a stream; "" when it sees no error."""
    for name, data in events(raw):
        if data.startswith("[DONE]"):
            return ""
        assert name is None or not name.startswith("thread.")
        found = json.loads(data)
        if isinstance(found, dict) and (error := found.get("error")):
            message = error.get("message") if isinstance(error, dict) else None
            return message or "An error occurred during streaming"
    return ""


def anthropic_stream(raw: bytes) -> str:
    """The same of anthropic."""
    for name, data in events(raw):
        if name == "error":
            found = json.loads(data)
            assert found["type"] == "error"
            assert found["error"]["type"] in ANTHROPIC_TYPES
            return str(found["error"]["message"])
        assert name == "ping"
    return ""


def ollama_stream(raw: bytes) -> str:
    """The same of ollama."""
    for line in raw.decode().splitlines():
        if error := json.loads(line).get("error"):
            return str(error)
    return ""


READERS = {
    id(OPENAI): openai_stream,
    id(RESPONSES): openai_stream,
    id(ANTHROPIC): anthropic_stream,
    id(OLLAMA): ollama_stream,
}


def message(dialect: Dialect, body: Any) -> str:
    """The sentence where the client looks for it in an error answer."""
    return str(body["error"] if dialect is OLLAMA else body["error"]["message"])


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("status", STATUSES)
def test_an_answer_has_its_sentence_where_the_client_looks(dialect: Dialect, status: int) -> None:
    """And says that it is JSON; Anthropic's types are those of its API."""
    answer = dialect.answer(status, "some_code", "This is why", param="model")
    body = json.loads(answer.body)
    assert message(dialect, body) == "This is why"
    assert answer.status == status
    assert answer.code == "some_code"
    assert answer.headers == [(b"content-type", b"application/json")]
    if dialect is ANTHROPIC:
        assert body["type"] == "error"
        assert body["error"]["type"] in ANTHROPIC_TYPES
    elif dialect is not OLLAMA:
        assert set(body["error"]) == {"message", "type", "code", "param"}
        assert (body["error"]["code"], body["error"]["param"]) == ("some_code", "model")


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (405, "invalid_request_error", "invalid_request_error"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "rate_limit_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
    ],
)
def test_types_by_status(status: int, openai: str, anthropic: str) -> None:
    """As both APIs document them."""
    assert OPENAI.error(status, "c", "m", None)["error"]["type"] == openai
    assert ANTHROPIC.error(status, "c", "m", None)["error"]["type"] == anthropic


@pytest.mark.parametrize(("seconds", "told"), [(0.2, b"1"), (2.0, b"2"), (12.1, b"13")])
def test_retry_after_is_whole_seconds_and_not_too_early(seconds: float, told: bytes) -> None:
    """Clients read whole seconds; 0 would be a storm."""
    answer = OPENAI.answer(429, "c", "m", retry_after=seconds)
    assert (b"retry-after", told) in answer.headers


def test_anthropic_errors_name_the_request() -> None:
    """In the body and in the header that its client shows; OpenAI's have X-Request-Id."""
    answer = ANTHROPIC.answer(404, "c", "m", request_id=b"req-7")
    assert json.loads(answer.body)["request_id"] == "req-7"
    assert (b"request-id", b"req-7") in answer.headers
    plain = OPENAI.answer(404, "c", "m", request_id=b"req-7")
    assert "request_id" not in json.loads(plain.body)
    assert len(plain.headers) == 1


@pytest.mark.parametrize("dialect", ALL)
@given(text=st.text(max_size=80))
def test_any_text_survives_in_answer_and_event(dialect: Dialect, text: str) -> None:
    """Line breaks, quotes, lone surrogates: nothing breaks the frame or the JSON."""
    told = f"x{text}"
    answer = dialect.answer(503, "c", told)
    expected = told.encode(errors="replace").decode()
    assert message(dialect, json.loads(answer.body)) == expected
    event = dialect.event(answer.status, answer.body)
    assert READERS[id(dialect)](dialect.heartbeat + event) == expected
    if dialect is not OLLAMA:
        assert event.endswith(b"\n\n")


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "of OpenAI", "type": "x"}}', "of OpenAI"),
        (b'{"type": "error", "error": {"type": "api_error", "message": "of A"}}', "of A"),
        (b'{"error": "of Ollama"}', "of Ollama"),
        (b'{"detail": "of FastAPI"}', "of FastAPI"),
        (b'{"object": "error", "message": "of vLLM"}', "of vLLM"),
        (b"upstream connect error\r\n\r\n", "upstream connect error"),
        (b"[\n1]", "[1]"),
        (b"{}", "the runner answered with status 502"),
        (b"", "the runner answered with status 502"),
        (b"\xff", "\ufffd"),
        (b"[" * 100_000, "[" * 1000),
    ],
)
def test_an_endpoints_error_is_an_error_in_the_clients_stream(
    dialect: Dialect, body: bytes, told: str
) -> None:
    """Whatever its shape: an event that the client does not know would end a whole answer."""
    assert READERS[id(dialect)](dialect.event(502, body)) == told


def test_an_error_in_the_clients_own_words_is_kept_as_it_is() -> None:
    """Code and type of the runner reach the client; only line breaks of the JSON go."""
    body = b'{"error": {\n  "message": "m", "type": "t", "code": "Draining", "param": null}}'
    (event,) = events(OPENAI.event(503, body))
    assert event == (None, json.dumps(json.loads(body)))


def test_responses_have_their_own_event() -> None:
    """Named, with the fields of ResponseErrorEvent beside the object that openai-python raises."""
    (event,) = events(RESPONSES.event(503, RESPONSES.answer(503, "c", "m").body))
    found = json.loads(event[1])
    assert event[0] == found["type"] == "error"
    assert (found["message"], found["code"], found["param"]) == ("m", "c", None)
    assert isinstance(found["sequence_number"], int)


def test_heartbeats_are_nothing_to_a_client() -> None:
    """Before the first event: comments, and Anthropic's ping."""
    for dialect in (OPENAI, RESPONSES):
        assert not list(events(dialect.heartbeat))
    assert list(events(ANTHROPIC.heartbeat)) == [("ping", '{"type": "ping"}')]
    assert OLLAMA.heartbeat == b""


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", OPENAI),
        ("/engines/v1/models", OPENAI),
        ("/", OPENAI),
        ("/api/chat", OLLAMA),
        ("/apis", OPENAI),
        ("/v1/messages", ANTHROPIC),
        ("/v1/messages/count_tokens", ANTHROPIC),
        ("/engines/llama.cpp/v1/messages", ANTHROPIC),
        ("/anthropic/v1/models", ANTHROPIC),
        ("/v1/responses", RESPONSES),
        ("/responses", RESPONSES),
    ],
)
def test_whose_path_it_is(path: str, dialect: Dialect) -> None:
    """Also of paths where nothing is: their 404 has a shape too."""
    assert dialect_of(path) is dialect


@pytest.mark.parametrize(
    "path",
    [
        *("/models", "/models/", "/models/create", "/models/ai/smollm2/tag", "/logs"),
        *("/engines/status", "/engines/ps", "/engines/df", "/engines/unload", "/engines/requests"),
        *("/engines/_configure", "/engines/llama.cpp/_configure", "/engines/vllm/_unload"),
    ],
)
def test_dockers_routes_speak_plainly(path: str) -> None:
    """Its command line prints a body as it is, so an error is one line of text."""
    assert dialect_of(path) is DMR
    answer = DMR.answer(503, "x", "Line one\nline two \ud800", retry_after=1.5)
    assert answer.body == b"Line one line two ?\n"
    assert answer.headers == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"retry-after", b"2"),
    ]


@pytest.mark.parametrize(
    "path", ["/v1/models", "/engines/v1/models", "/engines", "/engines/x", "/modelsx", "/logs/x"]
)
def test_others_do_not(path: str) -> None:
    """OpenAI's routes below /engines are OpenAI's."""
    assert dialect_of(path) is OPENAI
