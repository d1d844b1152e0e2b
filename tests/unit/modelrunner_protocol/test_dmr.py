"""The shapes of Docker Model Runner's own routes."""

import html
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol import dmr
from modelrunner_protocol.dmr import Create, Kind, Line, Model, ShapeError, Unload, Way

LAYER = "sha256:" + "a" * 64

WHOLE = Model(
    identity="sha256:1",
    tags=("ai/smollm2:latest", "local/copy:v1"),
    created=1700000000.9,
    format="gguf",
    architecture="llama",
    parameters="134.52 M",
    quantization="Q4_0",
    size=96574464,
    context_size=8192,
    metadata={"general.name": "x"},
)


@pytest.mark.parametrize(
    ("accept", "content_type", "is_json"),
    [
        ("application/json", "application/json", True),
        ("", "text/plain", False),
        ("*/*", "text/plain", False),
        ("text/plain", "text/plain", False),
        ("text/event-stream", "text/plain", False),
        ("application/json, text/plain", "text/plain", False),
        ("Application/JSON", "text/plain", False),
    ],
)
def test_lines_are_json_for_exactly_one_accept(
    accept: str, content_type: str, is_json: bool
) -> None:
    """Everything else is escaped for HTML, which the command line reads back."""
    line = dmr.line_bytes(Line(kind=Kind.ERROR, message="a < b & 'c' > \"d\""), accept)
    assert dmr.line_type(accept) == content_type
    assert line.endswith(b"}\n") if is_json else b'"' not in line
    assert json.loads(html.unescape(line.decode()))["message"] == "a < b & 'c' > \"d\""


@given(st.text())
def test_any_message_is_one_line(message: str) -> None:
    """Whatever a registry says, a line stays a line, in both forms."""
    for accept in ("", "application/json"):
        line = dmr.line_bytes(dmr.failed(message), accept)
        assert line.count(b"\n") == 1
        text = line.decode() if accept else html.unescape(line.decode())
        assert json.loads(text)["message"] == f"Error: {message}"


def test_pushes_have_their_own_words() -> None:
    """The way is told in the message, too."""
    line = dmr.downloaded(LAYER, size=10, current=1 << 20, total=20, way=Way.PUSH)
    assert (line.message, line.way) == ("Uploaded: 1.00 MB", Way.PUSH)
    assert dmr.pulled(Way.PUSH).message == "Model pushed successfully"


def test_a_model_of_which_nothing_is_known() -> None:
    """Members without a value are left out; a model without tags is called by its identity."""
    bare = Model(identity="sha256:1")
    assert dmr.model_object(bare) == {"id": "sha256:1", "created": 0, "config": {}}
    assert dmr.openai_object(bare) == {
        "id": "sha256:1",
        "object": "model",
        "created": 0,
        "owned_by": "docker",
    }


def test_names_and_owners() -> None:
    """A list may call a model by another name, and say who owns it."""
    assert dmr.openai_object(WHOLE, "gpt-4o", owner="me")["id"] == "gpt-4o"
    assert dmr.openai_object(WHOLE)["id"] == "ai/smollm2:latest"
    assert dmr.openai_object(WHOLE, owner="me")["owned_by"] == "me"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (96574464, "92.10 MiB"),
        (5 << 40, "5.00 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """In units of 1024, with two digits after the point."""
    assert dmr.size_text(count) == text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"last_used": "0001-01-01T00:00:00Z"}),
        ({"last_used": 0.0}, {"last_used": "1970-01-01T00:00:00Z"}),
        (
            {"last_used": 1.5, "in_use": True},
            {"last_used": "0001-01-01T00:00:00Z", "in_use": True},
        ),
        ({"loading": True}, {"last_used": "0001-01-01T00:00:00Z", "loading": True}),
        ({"last_used": 0.25, "keep_alive": -1.0}, {"last_used": "1970-01-01T00:00:00.250000Z", "keep_alive": "-1"}),
    ],
)  # fmt: skip
def test_rows_of_what_runs(given: dict[str, Any], told: dict[str, Any]) -> None:
    """What is in use has Go's zero time; what is usual is left out."""
    usual = {"backend_name": "llama.cpp", "model_name": "ai/x", "mode": "completion"}
    assert dmr.running_row(backend="llama.cpp", model="ai/x", mode="completion", **given) == {
        **usual,
        **told,
    }


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, Unload()),
        ({"all": True}, Unload(all=True)),
        ({"models": ["a", "b"], "backend": "vllm"}, Unload(models=("a", "b"), backend="vllm")),
        ({"models": None, "all": None, "backend": None, "more": 1}, Unload()),
    ],
)
def test_unload(body: dict[str, Any], found: Unload) -> None:
    """All members may be absent."""
    assert dmr.unload_request(body) == found


def test_what_docker_agent_unloads_and_pulls() -> None:
    """The other two bodies."""
    assert dmr.underscore_unload_request({"model": "ai/x"}) == Unload(models=("ai/x",))
    assert dmr.create_request({"from": "ai/x"}) == Create(reference="ai/x")
    asked = dmr.create_request({"from": "ai/x", "bearer-token": "secret"})
    assert asked.token == "secret"
    assert "secret" not in repr(asked)


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_bodies_are_objects(body: object) -> None:
    """Anything else is told so."""
    for read in (dmr.unload_request, dmr.underscore_unload_request, dmr.create_request):
        with pytest.raises(ShapeError, match="the body must be a JSON object"):
            read(body)


@pytest.mark.parametrize(
    ("read", "body", "says"),
    [
        (dmr.unload_request, {"models": "a"}, "models must be a list of names"),
        (dmr.unload_request, {"models": [1]}, "models must be a list of names"),
        (dmr.unload_request, {"all": "true"}, "all must be true or false"),
        (dmr.unload_request, {"backend": 1}, "backend must be a string"),
        (dmr.underscore_unload_request, {}, "model is required"),
        (dmr.underscore_unload_request, {"model": ["a"]}, "model must be a string"),
        (dmr.create_request, {}, "from is required"),
        (dmr.create_request, {"from": 1}, "from must be a string"),
        (dmr.create_request, {"from": "a", "bearer-token": 1}, "bearer-token must be a string"),
    ],
)
def test_wrong_members(read: Any, body: object, says: str) -> None:
    """The sentence names the member."""
    with pytest.raises(ShapeError, match=says):
        read(body)


def test_states_of_backends() -> None:
    """Clients tell them apart by their first words."""
    assert dmr.running_status("llama.cpp b1") == "Running: llama.cpp b1"
    assert dmr.broken_status("no") == "Error: no"
    assert dmr.missing_status() == "Not Installed"
    assert dmr.missing_status("why") == "Not Installed: why"
