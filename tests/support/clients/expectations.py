"""What must come of a scenario, whichever client ran it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.support.clients.catalogue import Client

CHAT_MODEL: Final = "ai/smollm2"
EMBEDDING_MODEL: Final = "ai/embeddinggemma"
PULLED_MODEL: Final = "ai/pulled"
COPIED_MODEL: Final = "ai/copied"
STEADY: Final = ("--temp", "0", "--predict", "64")
"""Flags of the engine where clients set no limits: a small model may else talk without end."""

# As the scripts say it, too.
_MAX_TOKENS: Final = 24
_WIDTH: Final = 576
_ENDS: Final = {"stop", "end_turn", "length", "max_tokens"}
_CALLS: Final = [
    {"name": "w", "arguments": {"city": "Rome"}},
    {"name": "t", "arguments": {}},
]


@dataclass(frozen=True)
class Server:
    """What is true of a server.

    Attributes:
        context: the size of the chat model's context.
        pulled: the model that is pulled and deleted.
        running: what the list of running models calls the one that chats.
    """

    context: int
    pulled: str = PULLED_MODEL
    running: str = f"{CHAT_MODEL}:latest"


def check(client: Client, outcomes: dict[str, Any], server: Server) -> None:
    """Every outcome is what it must be.

    Raises:
        AssertionError: some are not; the message holds all of them.
    """
    faults = {}
    for name, outcome in outcomes.items():
        try:
            _check_one(client, name, outcome, server)
        except Exception as error:  # noqa: BLE001  # an outcome may be of any shape
            faults[name] = (outcome, repr(error))
    told = "\n".join(f"{name}: {error}\n  {outcome}" for name, (outcome, error) in faults.items())
    assert not faults, f"{client.script}:\n{told}"


def _check_one(client: Client, name: str, outcome: dict[str, Any], server: Server) -> None:
    if name.startswith("unknown"):
        assert (outcome["raised"], outcome["status"]) == (client.not_found, 404)
        assert "no-such-model" in outcome["text"]
    elif name == "wrong":
        assert (outcome["raised"], outcome["status"]) == (client.wrong, 400)
        assert "temperature" in outcome["text"]
    elif name == "show":
        assert outcome["value"]["context"] == server.context
    elif name == "load":
        assert outcome["value"]["reason"] == "load"
        _runs(outcome["value"]["running"], server)
    elif name == "running":
        _runs(outcome["value"], server)
    elif name == "copy":
        assert _managed(server) <= set(outcome["value"])
    elif name == "delete":
        assert not _managed(server) & set(outcome["value"])
        _listed(outcome["value"])
    else:
        _VALUES[name](outcome["value"])


def _listed(names: list[str]) -> None:
    assert {f"{CHAT_MODEL}:latest", f"{EMBEDDING_MODEL}:latest"} <= set(names)


def _answered(value: dict[str, Any]) -> None:
    assert value["text"].strip()
    _ended(value)


def _streamed(value: dict[str, Any]) -> None:
    assert "".join(value["pieces"]).strip()
    # A piece is a token, or a few bytes of one that is no whole character.
    assert len(value["pieces"]) > 1
    _ended(value)


def _ended(value: dict[str, Any]) -> None:
    assert value["finish"] in _ENDS
    assert 0 < value["tokens"] <= _MAX_TOKENS
    # Some clients put the name of their provider before it.
    assert value["model"].removesuffix(":latest").endswith(CHAT_MODEL)


def _shaped(value: dict[str, Any]) -> None:
    assert list(value) == ["capital"]
    assert value["capital"] in {"Paris", "London"}


def _embedded(vectors: list[list[float]]) -> None:
    assert [len(vector) for vector in vectors] == [_WIDTH, _WIDTH]
    first, second = vectors
    assert first != second
    assert all(abs(number) <= 1 for number in first)
    assert abs(sum(number * number for number in first) - 1) < 0.01


def _called(calls: list[dict[str, Any]]) -> None:
    assert calls == _CALLS


def _counted(value: int) -> None:
    assert value > 5


def _responded(value: dict[str, Any]) -> None:
    assert value["text"].strip()
    assert value["kept"] == value["text"]
    assert value["status"] in {"completed", "incomplete"}
    assert value["gone"] is True
    assert value["tokens"] > 0


def _response_streamed(value: dict[str, Any]) -> None:
    assert value["text"].strip()
    assert value["status"] in {"completed", "incomplete"}
    assert value["numbers"] == list(range(len(value["numbers"])))
    assert len(value["numbers"]) > 5


def _runs(running: list[dict[str, Any]], server: Server) -> None:
    (found,) = [one for one in running if one["name"] == server.running]
    assert found["size"] > 0
    assert datetime.fromisoformat(found["expires"]) > datetime(2020, 1, 1, tzinfo=UTC)


def _unloaded(value: dict[str, Any]) -> None:
    assert value["reason"] == "unload"
    assert value["left"] == []


def _pulled(value: dict[str, Any]) -> None:
    assert value["last"] == "success"


def _managed(server: Server) -> set[str]:
    return {f"{server.pulled}:latest", f"{COPIED_MODEL}:latest"}


_VALUES: Final[dict[str, Callable[[Any], None]]] = {
    "list_models": _listed,
    "chat": _answered,
    "chat_ollama": _answered,
    "chat_anthropic": _answered,
    "complete": _answered,
    "stream": _streamed,
    "schema": _shaped,
    "respond_in_schema": _shaped,
    "embed": _embedded,
    "tools": _called,
    "stream_tools": _called,
    "count": _counted,
    "respond": _responded,
    "stream_response": _response_streamed,
    "unload": _unloaded,
    "pull": _pulled,
}
