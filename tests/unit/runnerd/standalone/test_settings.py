"""The settings of `runnerd serve`."""

from pathlib import Path
from typing import Any

import pytest

from runnerd.config import ConfigError
from runnerd.standalone.settings import ServeSettings, parse_bytes, read_serve_settings


def read(**environment: str) -> ServeSettings:
    """The settings of these variables, in a home of nobody."""
    return read_serve_settings({"HOME": "/nowhere", **environment})


def test_defaults() -> None:
    """Without any variable: Docker Model Runner's port, local pages, no start models."""
    found = read()
    assert (found.port, found.keep_alive, found.metrics) == (12434, 300.0, True)
    assert found.origins.allows("http://localhost:3000")
    assert not found.origins.allows("https://evil.example")
    assert (found.models, found.default_model, found.memory, found.slots) == ((), "", None, None)
    assert found.engine.gpu_layers == 999


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MODEL_RUNNER_PORT", "8080", "port", 8080),
        ("MODEL_RUNNER_PORT", "tcp://10.0.0.1:80", "port", 12434),
        ("MODEL_RUNNER_PORT", "  ", "port", 12434),
        ("RUNNERD_HOST", "127.0.0.1", "host", "127.0.0.1"),
        ("MODELS_PATH", "/data/models", "models_path", Path("/data/models")),
        ("MODELS_PATH", '"/data/models"', "models_path", Path("/data/models")),
        ("DISABLE_METRICS", "1", "metrics", False),
        ("DISABLE_METRICS", "false", "metrics", True),
        ("DEFAULT_REGISTRY", "https://registry.example.com:5000/", "default_registry", ...),
        ("INSECURE_REGISTRY", "true", "insecure_registry", True),
        ("RUNNERD_RECORD_REQUESTS", "0", "record", False),
        (
            "MODELS",
            "ai/smollm2, ai/gemma3:4b,,ai/smollm2",
            "models",
            ("ai/smollm2", "ai/gemma3:4b"),
        ),
        ("DEFAULT_MODEL", "ai/smollm2", "default_model", "ai/smollm2"),
        ("DEFAULT_MODEL", "smollm2:135M", "default_model", "smollm2:135M"),
        ("DEFAULT_MODEL", "hf.co/Owner/Name:Q8_0", "default_model", "hf.co/Owner/Name:Q8_0"),
        ("DEFAULT_MODEL", "sha256:" + "a" * 64, "default_model", "sha256:" + "a" * 64),
        ("DEFAULT_MODEL", "0123456789ab", "default_model", "0123456789ab"),
        ("RUNNERD_MEMORY", "8Gi", "memory", 8 << 30),
        ("RUNNERD_SLOTS", "3", "slots", 3),
        ("RUNNERD_KEEP_ALIVE", "-1", "keep_alive", -1.0),
        ("RUNNERD_KEEP_ALIVE", "1h", "keep_alive", 3600.0),
        ("RUNNERD_MAX_WAITING", "0", "max_waiting", 0),
        ("RUNNERD_WAIT_TIMEOUT", "90", "wait_timeout", 90.0),
        ("RUNNERD_WAIT_TIMEOUT", "2m", "wait_timeout", 120.0),
        ("RUNNERD_STARTUP_TIMEOUT", "10m", "startup_timeout", 600.0),
        ("RUNNERD_DRAIN_TIMEOUT", "0", "drain_timeout", 0.0),
    ],
)
def test_values(variable: str, text: str, field: str, value: Any) -> None:
    """Each variable is read; quotation marks around it and a kubelet's link are not taken."""
    wanted = "registry.example.com:5000" if value is ... else value
    assert getattr(read(**{variable: text}), field) == wanted


def test_a_default_model_that_is_none() -> None:
    """The sentence says what to write."""
    with pytest.raises(ConfigError) as raised:
        read(DEFAULT_MODEL="../..")
    words = "write a name that GET /v1/models lists, for example ai/smollm2"
    assert str(raised.value).startswith("DEFAULT_MODEL: '../..' is not the name of a model: ")
    assert str(raised.value).endswith(words)


def test_engine_settings() -> None:
    """What concerns the engine reaches the settings that `runnerd run` has, too."""
    found = read(GPU_ENABLED="0", LOG_LEVEL="WARN", LLAMA_ARGS="-ngl 5", RUNNERD_MAX_BODY="10")
    assert found.engine.gpu_layers == 0
    assert (found.engine.log_level, found.engine.llama_args) == ("warning", "-ngl 5")
    assert found.engine.max_body == 10


def test_origins() -> None:
    """The listed pages are allowed beside the local ones."""
    found = read(DMR_ORIGINS="https://chat.example.com, vscode-webview://*").origins
    for origin in ("https://chat.example.com", "vscode-webview://x", "http://127.0.0.1:1"):
        assert found.allows(origin)
    assert read(DMR_ORIGINS="*").origins.allows("https://evil.example")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MODEL_RUNNER_PORT", "http"),
        ("MODEL_RUNNER_PORT", "65536"),
        ("MODEL_RUNNER_PORT", "-1"),
        ("DISABLE_METRICS", "perhaps"),
        ("DMR_ORIGINS", "localhost"),
        ("LOG_LEVEL", "loud"),
        ("DEFAULT_REGISTRY", "a b"),
        ("DEFAULT_REGISTRY", "host/path"),
        ("MODELS", "ai/smollm2,../../etc"),
        ("DEFAULT_MODEL", "a b"),
        ("DEFAULT_MODEL", "../.."),
        ("DEFAULT_MODEL", "/models/x.gguf"),
        ("GPU_ENABLED", "yes please"),
        ("RUNNERD_MEMORY", "much"),
        ("RUNNERD_MEMORY", "0"),
        ("RUNNERD_SLOTS", "0"),
        ("RUNNERD_SLOTS", "1.5"),
        ("RUNNERD_KEEP_ALIVE", "soon"),
        ("RUNNERD_WAIT_TIMEOUT", "-1s"),
        ("RUNNERD_MAX_BODY", "x"),
    ],
)
def test_bad_values(variable: str, text: str) -> None:
    """A value that cannot be used is refused in a sentence that begins with the variable."""
    with pytest.raises(ConfigError, match=f"^{variable}: "):
        read(**{variable: text})


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("8Gi", 8 << 30), ("8G", 8 * 10**9), ("512MiB", 512 << 20), ("1.5 gb", 1500000000)],
)
def test_parse_bytes(text: str, count: int) -> None:
    """Decimal and binary units, with or without a B."""
    assert parse_bytes(text) == count


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/models where it can be written, else the user's own folder."""
    monkeypatch.setattr("runnerd.standalone.settings.IN_IMAGE", tmp_path)
    assert read().models_path == tmp_path
    monkeypatch.setattr("runnerd.standalone.settings.IN_IMAGE", tmp_path / "absent")
    assert read(XDG_DATA_HOME="/data").models_path == Path("/data/model-runner/models")
    monkeypatch.setenv("HOME", "/home/me")
    assert read().models_path == Path("/home/me/.local/share/model-runner/models")
