"""What the benchmark of translation asks, and how it counts what it is told."""

import time

import pytest

from runnerd.ollama import asked as ollama
from runnerd.ollama.asked import Kind
from runnerd.ollama.counters import Course
from runnerd.ollama.spoken import Spoken, Stamps
from runnerd.ollama.stream import Stream
from runnerd.responses import asked as responses
from tests.perf.bench_translation import CHAT, DIALECTS, Dialect

_CHAT, _OLLAMA, _RESPONSES = DIALECTS


@pytest.mark.parametrize("dialect", [_OLLAMA, _RESPONSES])
def test_the_engine_is_asked_the_same(dialect: Dialect) -> None:
    """Otherwise the sides would not be comparable: same messages, same length, one stream each."""
    body = dialect.body(7)
    if dialect is _OLLAMA:
        sent = ollama.asked(Kind.CHAT, body, context=None).body
    else:
        found = responses.asked(body, lambda word: word)
        sent = {**found.body, "messages": CHAT.body(7)["messages"]}
    for name, value in CHAT.body(7).items():
        assert name == "model" or sent[name] == value


def test_pieces_of_text_are_counted() -> None:
    """A line for each, and the last one, which only ends the answer, is none."""
    asked = ollama.asked(Kind.CHAT, _OLLAMA.body(2), context=None)
    spoken = Spoken(asked, Stamps(time.time_ns))
    stream = Stream(asked.path, spoken, Course(arrived=1), time.time_ns)
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":%s}]}\n\n'
    told = stream.take(event % b"null" + event % b'"stop"' + b"data: [DONE]\n\n")
    assert (told.count(b"\n"), told.count(_OLLAMA.mark)) == (3, 2)
    assert (event * 2).count(_CHAT.mark) == 2
