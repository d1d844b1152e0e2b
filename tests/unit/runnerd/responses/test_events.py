"""The events of a response, in their order, whatever is said in whichever pieces."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.responses.events import Events
from runnerd.responses.frame import Frame
from runnerd.responses.spoken import Piece
from tests.support.response_events import EventReader

TOLD = {"top_logprobs": 0, "store": True}
USAGE = {"prompt_tokens": 7, "completion_tokens": 11}


def events() -> Events:
    """Those of a response, whose IDs are counted."""
    count = itertools.count()
    return Events(Frame("resp_x", "m", 5, TOLD), lambda word: f"{word}_{next(count)}")


def call(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    """A piece of a call; with a name it is the first one."""
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"index": index, "function": {**name, "arguments": arguments}, **more}


def spoken(found: Events, *pieces: Piece, reason: str = "") -> EventReader:
    """All events of these pieces, read."""
    reader = EventReader()
    reader.read(found.begin())
    for piece in pieces:
        reader.read(found.say(piece))
    told, response = found.end(reason, USAGE, 9)
    reader.read(told)
    assert reader.last == response
    return reader


def test_thoughts_text_and_calls() -> None:
    """Each is an item of its own; what they come to stands at the end."""
    reader = spoken(
        events(),
        Piece(thoughts="h"),
        Piece(thoughts="m"),
        Piece(text="so"),
        Piece(calls=[call(0, name="w", id="c1")]),
        Piece(calls=[call(0, '{"a":')]),
        Piece(calls=[call(0, "1}"), call(1, "{}", name="t", id="c2")]),
    )
    thoughts, text, first, second = reader.items
    assert thoughts["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert text["content"][0]["text"] == "so"
    assert (first["name"], first["call_id"], first["arguments"]) == ("w", "c1", '{"a":1}')
    assert (second["name"], second["call_id"], second["arguments"]) == ("t", "c2", "{}")
    assert [item["id"] for item in reader.items] == ["rs_0", "msg_1", "fc_2", "fc_3"]
    assert reader.last is not None
    assert reader.last["status"] == "completed"
    assert reader.last["completed_at"] == 9
    assert reader.last["output_text"] == "so"
    assert reader.last["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    }
    assert list(reader.last)[-1] == "usage"


def test_an_answer_without_words() -> None:
    """It has a message all the same."""
    (item,) = spoken(events()).items
    assert (item["type"], item["content"][0]["text"]) == ("message", "")


def test_an_answer_that_is_cut_off() -> None:
    """The item within which it was cut, and the response."""
    reader = spoken(events(), Piece(thoughts="a"), Piece(text="b"), reason="max_output_tokens")
    assert [item["status"] for item in reader.items] == ["completed", "incomplete"]
    assert reader.last is not None
    assert reader.last["status"] == "incomplete"
    assert reader.last["incomplete_details"] == {"reason": "max_output_tokens"}
    assert reader.last["completed_at"] is None


def test_text_between_thoughts() -> None:
    """A turn from one to the other is a new item each time."""
    reader = spoken(events(), *(Piece(thoughts="a", text="b") for _ in range(2)))
    assert [item["type"] for item in reader.items] == ["reasoning", "message"] * 2
    assert reader.last is not None
    assert reader.last["output_text"] == "bb"


def test_a_failure() -> None:
    """An error that clients raise, then the failed response with what was said until then."""
    found, reader = events(), EventReader()
    reader.read(found.begin() + found.say(Piece(thoughts="a")) + found.say(Piece(text="b")))
    told, response = found.fail("out of paper", "engine_failed")
    error, failed = reader.read(told)
    assert error["code"] == error["error"]["code"] == "engine_failed"
    assert failed["response"] == response
    assert response["status"] == "failed"
    assert response["error"] == {"code": "server_error", "message": "out of paper"}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output_text"] == "b"


def test_likely_tokens() -> None:
    """With each piece, and all of them with the text."""
    tokens = [{"token": one, "logprob": -1.0, "bytes": [], "top_logprobs": []} for one in "ab"]
    found, reader = events(), EventReader()
    reader.read(found.begin())
    read = reader.read(found.say(Piece(text="a", logprobs=tokens[:1])))
    assert read[-1]["logprobs"] == tokens[:1]
    reader.read(found.say(Piece(text="b", logprobs=tokens[1:])))
    told, response = found.end("", None, 1)
    done = reader.read(told)[0]
    assert done["logprobs"] == tokens
    assert response["output"][0]["content"][0]["logprobs"] == tokens
    assert response["usage"] is None


def test_a_call_without_an_id() -> None:
    """It gets one, since its output has to name it."""
    (item,) = spoken(events(), Piece(calls=[call(0, "{}", name="w")])).items
    assert item["call_id"] == "call_1"


@pytest.mark.parametrize(
    "calls",
    [
        [call(0, "{}")],
        [call(0, "{", name="a"), call(1, "{}", name="b"), call(0, "}")],
    ],
    ids=["no name", "a call that has ended"],
)
def test_calls_that_make_no_sense(calls: list[dict[str, Any]]) -> None:
    """They are told to the caller, who ends the stream with an error."""
    found = events()
    found.begin()
    with pytest.raises((LookupError, ValueError)):
        found.say(Piece(calls=calls))


def test_one_line_each() -> None:
    """Whatever separates lines for some clients is escaped."""
    found = events()
    found.begin()
    told = found.say(Piece(text="a\u2028b\u0085c\nd\ud83d"))
    assert told.isascii()
    assert all(line.startswith(("event: ", "data: ")) for line in told.splitlines() if line)
    delta = json.loads(told.rstrip().rpartition("data: ")[2])
    assert delta["delta"] == "a\u2028b\u0085c\nd\ud83d"


TEXTS = st.text(max_size=3)
PIECES = st.lists(
    st.one_of(
        st.builds(Piece, thoughts=TEXTS, text=TEXTS),
        st.builds(Piece, text=TEXTS),
        st.lists(TEXTS, min_size=1, max_size=3),
    ),
    max_size=8,
)


@given(said=PIECES, reason=st.sampled_from(["", "max_output_tokens"]), fails=st.booleans())
def test_any_pieces(said: list[Piece | list[str]], reason: str, fails: bool) -> None:
    """Every event may come when it comes, and the texts are those that were said."""
    pieces: list[Piece] = []
    arguments: list[str] = []
    for one in said:
        if isinstance(one, Piece):
            pieces.append(one)
            continue
        # A list stands for a call whose arguments come in these pieces.
        index = len(arguments)
        arguments.append("".join(one))
        pieces.append(Piece(calls=[call(index, name="f", id=f"c{index}")]))
        pieces += [Piece(calls=[call(index, piece)]) for piece in one]
    found, reader = events(), EventReader()
    reader.read(found.begin())
    for piece in pieces:
        reader.read(found.say(piece))
    told, response = found.fail("x", "y") if fails else found.end(reason, USAGE, 1)
    reader.read(told)
    output = response["output"]
    kinds: dict[str, list[str]] = {"reasoning": [], "message": [], "function_call": []}
    for item in output:
        is_call = item["type"] == "function_call"
        kinds[item["type"]].append(item["arguments"] if is_call else item["content"][0]["text"])
    assert "".join(kinds["reasoning"]) == "".join(one.thoughts for one in pieces)
    assert "".join(kinds["message"]) == response["output_text"]
    assert response["output_text"] == "".join(one.text for one in pieces)
    assert kinds["function_call"] == arguments
    names = [item["id"] for item in output]
    assert len(set(names)) == len(names)
    assert output or fails
