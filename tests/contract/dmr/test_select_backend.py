"""Docker Model Runner's table of which backend runs which weights.

Source: docker/model-runner `pkg/inference/scheduling/select_backend_test.go`. MLX, SGLang and
diffusers are known by name only, so weights for them are refused here instead of given to an
engine that cannot load them.
"""

import pytest

from modelrunner_protocol.configure import ConfigureError, backend_of

LLAMA = "llama.cpp"
VLLM = "vllm"
BOTH = (LLAMA, VLLM)


@pytest.mark.parametrize(
    ("asked", "weights", "installed", "backend"),
    [
        # Safetensors go to vLLM wherever it is, whatever the path says.
        ("", "safetensors", (LLAMA, "mlx", VLLM, "sglang"), VLLM),
        ("", "safetensors", (LLAMA, "mlx", VLLM), VLLM),
        ("", "safetensors", BOTH, VLLM),
        (LLAMA, "safetensors", BOTH, VLLM),
        # GGUF stays with llama.cpp, whatever else is there.
        ("", "gguf", (LLAMA, "mlx", VLLM), LLAMA),
        (LLAMA, "gguf", BOTH, LLAMA),
        # A format that nobody knows: the path's backend, else the default.
        ("", "", BOTH, LLAMA),
        (VLLM, "", BOTH, VLLM),
    ],
)
def test_chosen(asked: str, weights: str, installed: tuple[str, ...], backend: str) -> None:
    """The format decides, and the path only where there is none."""
    assert backend_of(asked, weights, installed) == backend


@pytest.mark.parametrize(
    ("asked", "weights", "installed", "status", "says"),
    [
        # The original hands these to the default backend, which then fails to load them (500).
        ("", "safetensors", (LLAMA,), 400, "weights in the format safetensors need vllm"),
        (LLAMA, "safetensors", (LLAMA,), 400, "need vllm, which is not here"),
        # The original answers 500 "safetensors path required by vLLM backend".
        (VLLM, "gguf", BOTH, 400, "vllm cannot run weights in the format gguf: ask llama.cpp"),
        # As the original.
        ("bogus", "gguf", BOTH, 404, "backend not found"),
        (VLLM, "gguf", (LLAMA,), 404, "backend not found"),
    ],
)
def test_refused(
    asked: str, weights: str, installed: tuple[str, ...], status: int, says: str
) -> None:
    """What no engine here can run is told before one is started."""
    with pytest.raises(ConfigureError, match=says) as failure:
        backend_of(asked, weights, installed)
    assert failure.value.status == status
