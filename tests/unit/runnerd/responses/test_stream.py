"""An engine's events as those of a response."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.responses.events import Events
from runnerd.responses.frame import Frame
from runnerd.responses.stream import Stream
from tests.support.response_events import EventReader

USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 11,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


class Heard:
    """A stream, and what was read of it."""

    def __init__(self) -> None:
        count = itertools.count()
        frame = Frame("resp_x", "m", 5, {"top_logprobs": 1})
        self.kept: list[dict[str, Any]] = []
        self.stream = Stream(
            Events(frame, lambda word: f"{word}_{next(count)}"), 1, lambda: 9, self.kept.append
        )
        self.reader = EventReader()

    def take(self, *chunks: bytes) -> "Heard":
        """Bytes of the engine."""
        for chunk in chunks:
            self.read(self.stream.take(chunk))
        return self

    def end(self) -> dict[str, Any]:
        """Its end; the response."""
        self.read(self.stream.end())
        assert self.stream.ended
        assert self.stream.end() == b""
        assert self.stream.failed("late") == b""
        assert self.kept == [self.reader.last]
        return self.kept[0]

    def read(self, raw: bytes) -> None:
        """Events."""
        self.reader.read(raw.decode("ascii"))


def event(data: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(finish: str | None = None, **members: Any) -> bytes:
    """One of a chat."""
    return event({"choices": [{"finish_reason": finish, "delta": members}]})


LOGPROB = {"token": "x", "logprob": -0.5, "bytes": [120]}
CHAT = b"".join(
    (
        b": a comment\n\n",
        delta(role="assistant", content=None),
        delta(reasoning_content="hm"),
        delta(content="é\u2028x"),
        event(
            {
                "choices": [
                    {
                        "delta": {"content": "y"},
                        "logprobs": {"content": [{**LOGPROB, "top_logprobs": [LOGPROB] * 3}]},
                    }
                ]
            }
        ),
        delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "w", "arguments": "{"}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        delta("tool_calls"),
        event({"choices": [], "usage": USAGE}),
        b"data: [DONE]\n\n",
    )
)


def test_a_chat() -> None:
    """Thoughts, text and a call; the tokens are counted at the end."""
    heard = Heard().take(CHAT)
    response = heard.end()
    assert response["status"] == "completed"
    thoughts, text, call = response["output"]
    assert thoughts["content"][0]["text"] == "hm"
    assert text["content"][0]["text"] == "é\u2028xy"
    assert text["content"][0]["logprobs"] == [{**LOGPROB, "top_logprobs": [LOGPROB]}]
    assert (call["call_id"], call["name"], call["arguments"]) == ("c", "w", "{}")
    assert response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }
    assert not heard.stream.broken


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_ends(finish: str, status: str, reason: dict[str, str] | None) -> None:
    """Why it ended, in the words of Responses."""
    response = Heard().take(delta(content="a"), delta(finish), b"data: [DONE]\n\n").end()
    assert (response["status"], response["incomplete_details"]) == (status, reason)


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (b'data: {"error":{"message":"the grammar broke"}}\n\n', "the grammar broke"),
        (b'data: {"error":"no"}\n\n', "no"),
        (b'data: {"error":{}}\n\n', "failed at this request"),
        (b"data: {\n\n", "no part of an answer"),
        (b"data: {}{}\n\n", "no part of an answer"),
        (b"data: 5\n\n", "no part of an answer"),
        (b"data: \xff\n\n", "no part of an answer"),
        (delta(tool_calls=[{"index": 0, "function": {}}]), "no part of an answer"),
        (delta(content="x") + b"data: [DONE]\n\n", "before it was whole"),
        (delta(content=["x"]), "no part of an answer"),
        (delta(reasoning_content=5), "no part of an answer"),
        (event({"choices": [{"delta": {}, "logprobs": {"content": [{}]}}]}), "no part of"),
    ],
    ids=range(12),
)
def test_failures(chunk: bytes, words: str) -> None:
    """An error and a failed response, once; what comes after them is not looked at."""
    heard = Heard().take(delta(content="said"), chunk, CHAT)
    assert heard.stream.broken
    response = heard.end()
    assert response["status"] == "failed"
    assert words in response["error"]["message"]
    assert response["output_text"].startswith("said")


def test_an_engine_that_dies() -> None:
    """The caller says why."""
    heard = Heard().take(delta(content="a"))
    heard.read(heard.stream.failed("exit code 7"))
    assert heard.end()["error"]["message"] == "exit code 7"


def test_an_end_without_an_end() -> None:
    """Bytes that stop are no whole answer; a last line without its line end is one."""
    assert Heard().take(delta(content="a")).end()["status"] == "failed"
    last = Heard().take(delta(content="a"), delta("stop"), b"data: [DONE]")
    assert last.end()["status"] == "completed"
    # Without the mark of the end, but with a reason.
    assert Heard().take(delta(content="a"), delta("stop")).end()["status"] == "completed"


@given(st.lists(st.integers(0, len(CHAT)), max_size=5))
def test_any_splits(cuts: list[int]) -> None:
    """How the bytes are cut makes no difference."""
    places = [0, *sorted(cuts), len(CHAT)]
    chunks = [CHAT[start:end] for start, end in itertools.pairwise(places)]
    assert Heard().take(*chunks).end() == Heard().take(CHAT).end()


@given(st.lists(st.one_of(st.binary(max_size=9), st.just(b"data: "), st.just(b"\n")), max_size=9))
def test_any_bytes(chunks: list[bytes]) -> None:
    """Nothing that an engine says breaks the order of events."""
    heard = Heard().take(delta(content="a"), *chunks)
    assert heard.end()["status"] in {"failed", "completed"}
