"""An engine's own error answers."""

import json
from typing import Any

import pytest

from runnerd.server.dialects import INVALID_REQUEST, SERVER_ERROR
from runnerd.server.refusals import refusal, worded
from runnerd.server.routes import inference_routes

ROUTES = inference_routes("llama.cpp")
CHAT = ROUTES["/v1/chat/completions"]
MESSAGES = ROUTES["/v1/messages"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b'{"error": {"message": "[json.exception.parse_error.101] bad"}}', True),
        (b'{"error": {"message": "Failed to parse tools: x"}}', True),
        (b'{"error": {"message": "\\"prompt\\" must not be empty"}}', True),
        (b'{"error": {"message": "Unknown reasoning format: zz"}}', True),
        (b'{"error": {"message": "image input is not supported - hint: mmproj"}}', True),
        (b'{"error": {"message": "input (2001 tokens) is too large to process."}}', True),
        (b'{"error": {"message": "the prompt was lost"}}', False),
        (b'{"error": {"message": "out of memory"}}', False),
        (b'{"error": {"message": 5}}', False),
        (b'{"error": "x"}', False),
        (b"[" * 100_000, False),
        (b"[]", False),
        (b"<html>", False),
    ],
)
def test_500_for_a_wrong_form(answer: bytes, refused: bool) -> None:
    """Only a 500 that blames the request's form becomes a 400."""
    found = refusal(CHAT, 500, answer)
    assert (found is not None) is refused
    assert found is None or found.status == 400


def test_numbers_that_are_no_tokens() -> None:
    """The engine looks them up unseen; only where tokens were asked for is that the request's."""
    said = (
        b'{"error":{"code":500,"message":"vector::_M_range_check: __n (which is 99999999) >= '
        b'this->size() (which is 49152)","type":"server_error"}}'
    )
    found = refusal(ROUTES["/detokenize"], 500, said)
    assert found
    assert (found.status, found.param) == (400, "tokens")
    assert refusal(CHAT, 500, said) is None


def test_other_answers_stay() -> None:
    """What is good, and OpenAI's own errors, are for the client as they are."""
    assert refusal(CHAT, 200, b'{"error": {"message": "Failed to parse"}}') is None
    assert refusal(MESSAGES, 200, b"{}") is None
    assert refusal(CHAT, 400, b'{"error": {"message": "no"}}') is None


def test_a_route_that_the_engine_does_not_have() -> None:
    """The engine's 404 would tell the client that the model does not exist."""
    found = refusal(ROUTES["/tokenize"], 404, b'{"error": {"message": "File Not Found"}}')
    assert found
    assert (found.status, found.code) == (501, "unsupported_route")
    assert "/tokenize" in found.message


def test_what_the_engine_was_not_started_for() -> None:
    """The engine's words stay, the word for programs is ours."""
    found = refusal(CHAT, 501, b'{"error": {"message": "This server does not support that"}}')
    assert found
    assert (found.status, found.code) == (501, "unsupported_mode")
    assert found.message == "This server does not support that"


@pytest.mark.parametrize(("status", "kind"), [(400, INVALID_REQUEST), (500, SERVER_ERROR)])
def test_errors_on_the_routes_of_anthropic(status: int, kind: str) -> None:
    """They are told anew, to be given Anthropic's shape."""
    found = refusal(MESSAGES, status, b'{"error": {"message": "no"}}')
    assert found
    assert (found.status, found.message, found.kind) == (status, "no", kind)
    assert refusal(MESSAGES, status, b"<html>") is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            {"code": 400, "message": "no", "type": "invalid_request_error"},
            {"code": None, "message": "no", "type": "invalid_request_error", "param": None},
        ),
        (
            {"code": 400, "message": "é", "type": "exceed_context_size_error", "n_ctx": 512},
            {
                "code": "context_length_exceeded",
                "message": "é",
                "type": "exceed_context_size_error",
                "n_ctx": 512,
                "param": None,
            },
        ),
        ({"code": None, "param": "n"}, {"code": None, "param": "n"}),
    ],
)
def test_codes_are_words(error: dict[str, Any], told: dict[str, Any]) -> None:
    """OpenAI's clients read a word or null; the word for too much text is one they act on."""
    raw = json.dumps({"error": error, "id": 1}).encode()
    assert json.loads(worded(raw)) == {"error": told, "id": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"error":{"code":"a word"}}',
        b'{"error":{}}',
        b'{"error":5}',
        b"[]",
        b"<html>",
        b"[" * 100_000,
    ],
    ids=range(6),
)
def test_what_has_no_number_stays(raw: bytes) -> None:
    """Byte for byte."""
    assert worded(raw) == raw
