"""Which engine runs which weights."""

import pytest

from modelrunner.domain.formats import Table, unsuited
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, WeightsFile

BOTH: Table = {"llama.cpp": "gguf", "vllm": "safetensors"}


def _of(kind: str) -> Artifact:
    file = WeightsFile(path=f"model.{kind}", size_bytes=1 << 30)
    return Artifact(
        format=kind, size_bytes=1 << 30, files=(file,), architecture="llama", parameters="1.24 B"
    )


@pytest.mark.parametrize(
    ("engine", "kind", "runs"),
    [
        ("auto", "gguf", {"llama.cpp": "gguf"}),
        ("llama.cpp", "gguf", {"llama.cpp": "gguf"}),
        ("auto", "gguf", BOTH),
        ("auto", "safetensors", BOTH),
        ("vllm", "safetensors", BOTH),
        ("llama.cpp", "gguf", BOTH),
    ],
)
def test_suited(engine: str, kind: str, runs: Table) -> None:
    """The engine `auto` is any engine that there is."""
    assert unsuited(_of(kind), engine=engine, runner="gpu", where="x", runs=runs) is None


@pytest.mark.parametrize(
    ("engine", "kind", "runs", "says"),
    [
        (
            "auto",
            "safetensors",
            {"llama.cpp": "gguf"},
            (
                "ai/x:v1 holds safetensors weights (llama, 1.24 B, 1.0 GiB), and llama.cpp runs GGUF: name a "
                "source with GGUF weights"
            ),
        ),
        (
            "llama.cpp",
            "safetensors",
            BOTH,
            (
                "ai/x:v1 holds safetensors weights (llama, 1.24 B, 1.0 GiB), and llama.cpp runs GGUF: set "
                "spec.engine of ModelRunner gpu to vllm or auto, or name a source with GGUF weights"
            ),
        ),
        (
            "vllm",
            "gguf",
            BOTH,
            (
                "ai/x:v1 holds GGUF weights (llama, 1.24 B, 1.0 GiB), and vllm runs safetensors: set "
                "spec.engine of ModelRunner gpu to llama.cpp or auto, or name a source with safetensors "
                "weights"
            ),
        ),
        (
            "auto",
            "onnx",
            BOTH,
            (
                "ai/x:v1 holds onnx weights (llama, 1.24 B, 1.0 GiB), and llama.cpp runs GGUF and vllm runs "
                "safetensors: name a source with GGUF or safetensors weights"
            ),
        ),
    ],
)
def test_unsuited(engine: str, kind: str, runs: Table, says: str) -> None:
    """The sentence says what there is, what would run, and what to change."""
    found = unsuited(_of(kind), engine=engine, runner="gpu", where="ai/x:v1", runs=runs)
    assert found is not None
    assert (found.reason, found.message) == (Reason.UNSUPPORTED_FORMAT, says)
