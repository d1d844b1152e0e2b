"""Docker Model Runner's tables of model objects.

Source: docker/model-runner `pkg/inference/models/api_test.go` (`TestToOpenAI…`,
`TestModelJSONRoundTrip`) and `handler_test.go` (content types of a pull), as facts about our
objects. Sizes are told from bytes here, where the original passes on any text.
"""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner_protocol.dmr import Model, line_type, model_object, openai_object

FULL = Model(
    identity="sha256:abc123",
    tags=("ai/smollm2:latest",),
    created=1704067200,
    format="gguf",
    quantization="Q4_K_M",
    parameters="1.7B",
    architecture="llama",
    size=1 << 30,
    memory=3 << 29,
    context_size=8192,
)
BARE = Model(identity="sha256:abc123", tags=("ai/model:latest",))


@pytest.mark.parametrize(
    ("model", "name", "dmr"),
    [
        (
            FULL,
            "ai/smollm2:latest",
            {
                "context_window": 8192,
                "architecture": "llama",
                "parameters": "1.7B",
                "quantization": "Q4_K_M",
                "size": "1.00 GiB",
                "memory": "1.50 GiB",
            },
        ),
        (BARE, "ai/model:latest", None),
        (
            Model(identity="sha256:abc123", architecture="mistral"),
            "sha256:abc123",
            {"architecture": "mistral"},
        ),
        (replace(BARE, architecture="llama"), "ai/model:latest", {"architecture": "llama"}),
        (
            replace(BARE, architecture="llama", parameters="7B"),
            "ai/model:latest",
            {"architecture": "llama", "parameters": "7B"},
        ),
    ],
)
def test_entries_of_openai(model: Model, name: str, dmr: dict[str, Any] | None) -> None:
    """The first tag is the ID, else the identity; `dmr` is absent where nothing is known."""
    found = openai_object(model)
    assert (found["id"], found["object"], found["owned_by"]) == (name, "model", "docker")
    assert found.get("dmr") == dmr


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            replace(
                FULL,
                tags=("ai/testmodel:v1", "ai/testmodel:latest"),
                metadata={"llama.context_length": "4096"},
            ),
            {
                "id": "sha256:abc123",
                "tags": ["ai/testmodel:v1", "ai/testmodel:latest"],
                "created": 1704067200,
                "config": {
                    "format": "gguf",
                    "quantization": "Q4_K_M",
                    "parameters": "1.7B",
                    "architecture": "llama",
                    "size": "1.00 GiB",
                    "memory": "1.50 GiB",
                    "gguf": {"llama.context_length": "4096"},
                    "context_size": 8192,
                },
            },
        ),
        (
            Model(identity="sha256:def456", created=1704067200, format="safetensors"),
            {"id": "sha256:def456", "created": 1704067200, "config": {"format": "safetensors"}},
        ),
        (
            Model(identity="sha256:ghi789", created=1704067200),
            {"id": "sha256:ghi789", "created": 1704067200, "config": {}},
        ),
    ],
)
def test_entries_of_models(model: Model, expected: dict[str, Any]) -> None:
    """The flat form that the command line reads; without tags there is no such member."""
    assert model_object(model) == expected


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("", "text/plain"), ("text/plain", "text/plain"), ("application/json", "application/json")],
)
def test_content_type_of_a_pull(accept: str, content_type: str) -> None:
    """Only who asks for JSON gets it (`TestPullModel`)."""
    assert line_type(accept) == content_type
