"""What is kept of bodies, and how it is shown."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.standalone.management.recorded import readable, without_media

PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"content": [{"image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]}]},
        {"messages": [{"content": [{"input_audio": {"data": PICTURE, "format": "wav"}}]}]},
        {"messages": [{"role": "user", "images": [PICTURE]}]},
        {"messages": [{"content": [{"source": {"type": "base64", "data": PICTURE}}]}]},
    ],
)
def test_media_are_cut_in_every_dialect(body: dict[str, Any]) -> None:
    """Of a picture the first 100 characters stay, and the body stays JSON."""
    kept = without_media(json.dumps(body).encode(), 1 << 18)
    assert len(kept) < 400
    assert f"{PICTURE[:100]}...[truncated {len(PICTURE) - 100} chars]" in kept.decode()
    json.loads(kept)


@pytest.mark.parametrize(
    "text", ["word " * 1000, "-" * 500, "=" * 500, "a" * 199, "https://x/" + "ab/cd.ef-" * 60]
)
def test_text_is_no_media(text: str) -> None:
    """What people write is kept, long lines of signs and addresses included."""
    raw = json.dumps({"content": text}).encode()
    assert without_media(raw, 1 << 18) == raw


def test_long_bodies_are_cut() -> None:
    """A note says how much is missing."""
    assert without_media(b"a b " * 100, 10) == b"a b a b a ...[truncated 390 bytes]"
    assert without_media(b"abc", 10, left=5) == b"abc...[truncated 5 bytes]"


def _stream(*chunks: Any) -> bytes:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join(lines).encode() + b"data: [DONE]\n\n"


def _chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
    return {"object": "chat.completion.chunk", "id": "c1", "choices": [choice]}


def test_a_streamed_chat_is_put_together() -> None:
    """It is shown as the answer that it would have been, thoughts and usage included."""
    raw = _stream(
        _chunk({"role": "assistant", "content": None}),
        _chunk({"reasoning_content": "hm"}),
        _chunk({"content": "Hel"}),
        _chunk({"content": "lo", "tool_calls": [{"id": "t"}]}),
        _chunk({}, finish_reason="stop"),
        {
            "object": "chat.completion.chunk",
            "id": "c1",
            "choices": [],
            "usage": {"total_tokens": 3},
        },
    )
    assert json.loads(readable(raw)) == {
        "object": "chat.completion",
        "id": "c1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "t"}],
                },
            }
        ],
        "usage": {"total_tokens": 3},
    }


def test_a_streamed_message_is_put_together() -> None:
    """Anthropic's, too."""
    raw = b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        for event in (
            {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "lo"}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
        )
    )
    assert json.loads(readable(raw)) == {
        "id": "m",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"output_tokens": 2},
    }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"choices": []}',
        b'data: {"error": {"message": "it died"}}\n\n',
        _stream(_chunk({"content": "a"}), {"error": {"message": "it died"}}),
        b"data: not json\n\n",
        b"data: [1]\n\n",
        b'data: {"type": "message_start", "message": 5}\n\n',
        b"\xff\xfe",
        b"",
    ],
)
def test_everything_else_is_shown_as_it_is(raw: bytes) -> None:
    """Errors in streams are what somebody looks for."""
    assert readable(raw) == raw.decode(errors="replace")


def test_a_stream_that_was_cut() -> None:
    """A stream of another kind says how much of it is missing."""
    assert readable(b"event: x\ndata: y\n\n", cut=7).endswith("...[truncated 7 bytes]")


@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_answer_can_be_shown(raw: bytes, start: int) -> None:
    """Whatever an engine says, looking at it breaks nothing."""
    head = (
        b"",
        b"data: ",
        b'data: {"object": "chat.completion.chunk", "choices": ',
        b'data: {"x":',
    )
    assert isinstance(readable(head[start] + raw), str)
