"""What Ollama's lists tell of models."""

import pytest

from modelrunner_protocol.ollama import (
    FOREVER,
    VERSION,
    Described,
    capabilities_of,
    listed,
    moment,
    running,
    shown,
    tagged,
    unknown_model,
)

MODEL = Described(
    identity="ml/smol",
    name="smol:latest",
    digest="sha256:" + "ab" * 32,
    format="gguf",
    architecture="llama",
    parameters="134.52 M",
    quantization="Q4_1",
    size=98362496,
    modified=1_800_000_000.9,
    context=2048,
    memory=262 << 20,
    capabilities=("completion", "tools"),
    template="{{ messages }}",
)
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "134.52M",
    "quantization_level": "Q4_1",
    "context_length": 2048,
    "memory_size": "262.00 MiB",
}
UNKNOWN = Described(identity="ml/new", name="new")


def test_listed() -> None:
    """An entry of /api/tags; the digest is bare, as Ollama's is."""
    assert listed(MODEL) == {
        "name": "smol:latest",
        "model": "smol:latest",
        "modified_at": "2027-01-15T08:00:00Z",
        "size": 98362496,
        "digest": "ab" * 32,
        "details": DETAILS,
    }


def test_running() -> None:
    """An entry of /api/ps."""
    found = running(MODEL, expires_at=FOREVER)
    assert found["expires_at"] == FOREVER
    assert (found["context_length"], found["size_vram"]) == (2048, 0)
    assert "context_length" not in running(UNKNOWN, expires_at=FOREVER)


def test_shown() -> None:
    """What clients plan with."""
    found = shown(MODEL)
    assert found["model_info"] == {
        "general.architecture": "llama",
        "general.basename": "smol",
        "llama.context_length": 2048,
        "general.memory_bytes": 262 << 20,
    }
    assert found["capabilities"] == ["completion", "tools"]
    assert found["parameters"].split() == ["num_ctx", "2048"]
    assert (found["template"], found["details"]) == ("{{ messages }}", DETAILS)


def test_a_model_that_nobody_knows_yet() -> None:
    """Every member is there; a digest that Ollama's command line can cut is, too."""
    found = listed(UNKNOWN)
    assert len(found["digest"]) == 64
    assert found["digest"] != listed(Described(identity="ml/other", name="new"))["digest"]
    assert found["details"]["families"] == []
    assert not {"context_length", "memory_size"} & found["details"].keys()
    told = shown(UNKNOWN)["model_info"]
    assert told == {"general.architecture": "", "general.basename": "new"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smol", "smol:latest"),
        ("smol:8b", "smol:8b"),
        ("ai/smol", "ai/smol:latest"),
        ("localhost:5000/ai/smol", "localhost:5000/ai/smol:latest"),
    ],
)
def test_tags(name: str, expected: str) -> None:
    """A port is no tag."""
    assert tagged(name) == expected


def test_words() -> None:
    """Clients look for them."""
    assert unknown_model("x") == "model 'x' not found"
    assert len(unknown_model("x" * 10_000)) < 250
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert tuple(map(int, VERSION.split("."))) >= (0, 6, 4)


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("completion", ("completion", "tools")),
        ("embedding", ("embedding",)),
        ("reranking", ("reranking",)),
    ],
)
def test_capabilities(mode: str, told: tuple[str, ...]) -> None:
    """Only a model for completion has more than its mode."""
    assert capabilities_of(mode, ["tools"]) == told
