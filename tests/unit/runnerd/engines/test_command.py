"""The command line of llama-server."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Draft, Mode, RunConfig
from runnerd.config import ConfigError
from runnerd.engines.command import find_llama_server, llama_server_command
from tests.support.gguf_files import model

CONFIG = RunConfig(model="m", namespace="n", runner="r", engine="llama.cpp", weights="/w.gguf")


def _command(config: RunConfig = CONFIG, **more: Any) -> tuple[str, ...]:
    usual: dict[str, Any] = {"program": "/l", "socket": "/tmp/e.sock", "base": None}
    usual |= {"machine": "x86_64", "cpus": 4, "limited": False, "environment": {}}
    return llama_server_command(config, **{**usual, **more})


def test_least() -> None:
    """Base, model, socket and name; templates by Jinja."""
    named = ("--model", "/w.gguf", "--host", "/tmp/e.sock", "--alias", "m")
    assert _command() == ("/l", "-ngl", "999", "--metrics", *named, "--jinja")


def test_order() -> None:
    """Mode, budget, context, the user's flags, in Docker Model Runner's order."""
    config = replace(
        CONFIG,
        mode=Mode.EMBEDDING,
        reasoning_budget=0,
        context_size=4096,
        runtime_flags=("--temp", "0.2"),
    )
    budget = ("--embeddings", "--reasoning-budget", "0", "--ctx-size", "4096")
    assert _command(config)[10:] == (*budget, "--temp", "0.2", "--jinja")


def test_what_belongs_to_a_model() -> None:
    """Its template and, for chats, its projector, before what the user says."""
    config = replace(CONFIG, chat_template="/t", projector="/p", context_size=9)
    template = ("--chat-template-file", "/t")
    assert _command(config)[10:] == (*template, "--mmproj", "/p", "--ctx-size", "9", "--jinja")
    embedding = _command(replace(config, mode=Mode.EMBEDDING))
    assert "--mmproj" not in embedding


def test_ranking() -> None:
    """As Docker Model Runner starts it; what belongs to chats only is left out."""
    command = _command(replace(CONFIG, mode=Mode.RERANKING, projector="/p", context_size=9))
    assert command[10:] == ("--embeddings", "--reranking", "--ctx-size", "9", "--jinja")


@pytest.mark.parametrize(("size", "told"), [(-1, "0"), (1, "1"), (8192, "8192")])
def test_context(size: int, told: str) -> None:
    """What the model was trained for is 0 to llama-server; it dies of -1."""
    command = _command(replace(CONFIG, context_size=size))
    assert command[command.index("--ctx-size") + 1] == told


def test_draft() -> None:
    """It is loaded and asked, within its bounds, before what the user says."""
    draft = Draft(weights="/draft/d.gguf", max_tokens=4, min_probability=0.5)
    config = replace(CONFIG, draft=draft, runtime_flags=("--spec-draft-n-max", "8"))
    loaded = ("--model-draft", "/draft/d.gguf")
    asked = ("--spec-type", "draft-simple")
    bounds = ("--spec-draft-n-max", "4", "--spec-draft-p-min", "0.50")
    user = ("--spec-draft-n-max", "8", "--jinja")
    assert _command(config)[10:] == (*loaded, *asked, *bounds, *user)
    least = replace(CONFIG, draft=Draft(weights="/d"))
    assert _command(least)[10:] == ("--model-draft", "/d", *asked, "--jinja")


@pytest.mark.parametrize(
    "more",
    [
        {"config": replace(CONFIG, runtime_flags=("--spec-type=draft-eagle3",))},
        {"base": "--spec-type draft-mtp"},
        {"environment": {"LLAMA_ARG_SPEC_TYPE": "draft-dflash"}},
    ],
)
def test_draft_of_a_chosen_type(more: dict[str, Any]) -> None:
    """A draft made for another way of drafting is asked that way."""
    config = replace(more.pop("config", CONFIG), draft=Draft(weights="/d"))
    assert "draft-simple" not in _command(config, **more)


@pytest.mark.parametrize(
    ("machine", "cpus", "limited", "threads"),
    [
        ("aarch64", 8, False, "4"),
        ("arm64", 2, False, "2"),
        ("aarch64", 1, True, "2"),
        ("x86_64", 3, True, "3"),
        ("x86_64", 3, False, None),
    ],
)
def test_threads(machine: str, cpus: int, limited: bool, threads: str | None) -> None:
    """Half the processors on arm64; the CPU limit elsewhere; else llama-server's own choice."""
    command = _command(machine=machine, cpus=cpus, limited=limited)
    found = command[command.index("--threads") + 1] if "--threads" in command else None
    assert found == threads


@pytest.mark.parametrize("flags", [("-t", "1"), ("--threads=1",), ("--threads", "1")])
def test_chosen_threads(flags: tuple[str, ...]) -> None:
    """A user's number of threads is not doubled by ours."""
    command = _command(replace(CONFIG, runtime_flags=flags), machine="arm64")
    assert command[4] == "--model"
    assert _command(machine="arm64", environment={"LLAMA_ARG_THREADS": "1"})[4] == "--model"


def test_values_are_separated() -> None:
    """llama-server knows no "--flag=value", which is the only way to write a negative value."""
    flags = ("--seed=-1", "--temp", "0.2", "--grammar=a=b", "x=y")
    command = _command(replace(CONFIG, runtime_flags=flags))
    expected = ("--seed", "-1", "--temp", "0.2", "--grammar", "a=b", "x=y", "--jinja")
    assert command[-len(expected) :] == expected


def test_no_jinja() -> None:
    """The last of two flags wins, so ours is left out where the user wants none."""
    assert _command(replace(CONFIG, runtime_flags=("--no-jinja",)))[-1] == "--no-jinja"


def test_pooling(tmp_path: Path) -> None:
    """A chat model in embedding mode gets a pooling, before the user's flags."""
    weights = tmp_path / "model.gguf"
    weights.write_bytes(model())
    config = replace(CONFIG, mode=Mode.EMBEDDING, weights=str(weights), context_size=1)
    command = _command(config)
    assert command[10:] == ("--embeddings", "--pooling", "mean", "--ctx-size", "1", "--jinja")


def test_base() -> None:
    """LLAMA_ARGS replaces the first arguments, also with nothing."""
    assert _command(base="-ngl '0' --slots")[1:5] == ("-ngl", "0", "--slots", "--model")
    assert _command(base="")[1] == "--model"


@pytest.mark.parametrize(
    "base",
    ["--model x", "--host=1.2.3.4", "-m x", "--embeddings", "--alias z", "'open", "-hf a", "-md x"],
)
def test_bad_base(base: str) -> None:
    """LLAMA_ARGS may not hold what runnerd sets."""
    with pytest.raises(ConfigError, match="LLAMA_ARGS"):
        _command(base=base)


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chosen program, else the one on PATH, else a message that says what to do."""
    program = tmp_path / "llama-server"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="set LLAMA_SERVER_PATH"):
        find_llama_server("")
    program.touch()
    with pytest.raises(ConfigError, match="not a program"):
        find_llama_server(str(program))
    with pytest.raises(ConfigError, match="not a program"):
        find_llama_server(str(tmp_path))
    program.chmod(0o755)
    assert find_llama_server(str(program)) == str(program)
    assert find_llama_server("") == str(program)


def test_gpu_layers() -> None:
    """A server without a GPU keeps every layer in main memory."""
    assert _command(gpu_layers=0)[:3] == ("/l", "-ngl", "0")


def test_folder_of_the_program(tmp_path: Path) -> None:
    """LLAMA_SERVER_PATH may be the folder, as it is for Docker Model Runner."""
    program = tmp_path / "llama-server"
    program.touch(0o700)
    assert find_llama_server(str(tmp_path)) == str(program)
