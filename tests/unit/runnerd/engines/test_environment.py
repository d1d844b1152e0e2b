"""Which variables an engine gets."""

import pytest

from runnerd.engines.environment import engine_environment


@pytest.mark.parametrize(
    "name",
    [
        "RUNNERD_CONFIG",
        "LLAMA_ARG_HOST",
        "LLAMA_ARG_PORT",
        "LLAMA_ARG_MODEL",
        "LLAMA_ARG_ALIAS",
        "LLAMA_ARG_HF_REPO",
        "LLAMA_ARG_API_PREFIX",
        "LLAMA_ARG_API_KEY_FILE",
        "LLAMA_API_KEY",
        "LLAMA_ARG_SSL_KEY_FILE",
        "LLAMA_ARG_EMBEDDINGS",
        "LLAMA_ARG_MODELS_DIR",
        "LLAMA_ARG_MODELS_MAX",
        "LLAMA_ARG_LOG_FILE",
        "LLAMA_ARG_NO_ENDPOINT_METRICS",
        "HF_TOKEN",
        "DOCKER_PASSWORD",
    ],
)
def test_ours(name: str) -> None:
    """What would lead past the runner, and what pulls log in with, does not reach the engine."""
    assert engine_environment({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name",
    ["LLAMA_ARG_N_PARALLEL", "LLAMA_ARG_THREADS", "CUDA_VISIBLE_DEVICES", "HF_HOME", "HOST"],
)
def test_others(name: str) -> None:
    """Every other variable, llama-server's own among them, is the user's to set."""
    assert engine_environment({name: "x"}) == {name: "x"}
