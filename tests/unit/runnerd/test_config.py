"""Settings and the run configuration from the environment."""

import json

import pytest

from modelrunner_protocol.wire import Mode
from runnerd.config import ConfigError, Settings, read_run_config, read_settings

GOOD = {
    "model": "m",
    "namespace": "n",
    "runner": "r",
    "engine": "llama.cpp",
    "weights": "/models/x.gguf",
}


def test_defaults() -> None:
    """Nothing set, or set to nothing, means the defaults."""
    assert read_settings({}) == Settings()
    assert read_settings({"LOG_LEVEL": "", "RUNNERD_MAX_BODY": ""}) == Settings()


def test_settings() -> None:
    """Each variable has its field and its type."""
    found = read_settings(
        {
            "LLAMA_SERVER_PATH": "/x",
            "LLAMA_ARGS": "-ngl 0",
            "LOG_LEVEL": "debug",
            "RUNNERD_MAX_IN_FLIGHT": "7",
            "RUNNERD_DRAIN_LINGER": "0.25",
        }
    )
    assert (found.llama_server, found.llama_args, found.log_level) == ("/x", "-ngl 0", "debug")
    assert (found.max_in_flight, found.drain_linger) == (7, 0.25)


@pytest.mark.parametrize("text", ["many", "1.5", "-1", "inf"])
def test_bad_number(text: str) -> None:
    """A number that is none is refused with the variable's name."""
    with pytest.raises(ConfigError, match="RUNNERD_MAX_BODY"):
        read_settings({"RUNNERD_MAX_BODY": text})
    with pytest.raises(ConfigError, match="RUNNERD_BODY_TIMEOUT"):
        read_settings({"RUNNERD_BODY_TIMEOUT": "nan"})


def test_run_config() -> None:
    """A good configuration is read."""
    assert read_run_config({"RUNNERD_CONFIG": json.dumps(GOOD)}).model == "m"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "model: missing"),
        ({"model": ""}, "must not be empty"),
        ({"weights": "x.gguf"}, "absolute path"),
        ({"port": 70000}, "not a TCP port"),
        ({"port": "http"}, "port: expected int"),
        ({"drainTimeout": -1}, "drain_timeout must not be negative"),
        ({"mode": "dreaming"}, "'dreaming' is not a valid Mode"),
        ({"mode": "image-generation"}, "mode: no engine here makes images"),
        ({"draft": {"weights": "d.gguf"}}, "draft.weights: 'd.gguf' is not an absolute path"),
        ({"engine": "vllm"}, 'no engine "vllm"'),
        ({"runtimeFlags": ["--log-file", "x"]}, '"--log-file" is not allowed'),
        ({"runtimeFlags": ["--temp", "/etc"]}, "path separator"),
    ],
)
def test_bad_run_config(change: dict[str, object], message: str) -> None:
    """Everything that cannot be served is refused with a sentence."""
    with pytest.raises(ConfigError, match=message):
        read_run_config({"RUNNERD_CONFIG": json.dumps({**GOOD, **change})})


@pytest.mark.parametrize(
    ("change", "mode"),
    [
        ({}, Mode.COMPLETION),
        ({"mode": "reranking"}, Mode.RERANKING),
        ({"runtimeFlags": ["--reranking"]}, Mode.RERANKING),
        ({"runtimeFlags": ["--embeddings"]}, Mode.EMBEDDING),
    ],
)
def test_mode(change: dict[str, object], mode: Mode) -> None:
    """An operator of before the mode says it by the flag alone."""
    text = json.dumps({**GOOD, **change})
    assert read_run_config({"RUNNERD_CONFIG": text}).mode is mode


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_no_run_config(text: str) -> None:
    """A missing configuration, or one that is not JSON, is told by its variable."""
    with pytest.raises(ConfigError, match="RUNNERD_CONFIG"):
        read_run_config({"RUNNERD_CONFIG": text})
