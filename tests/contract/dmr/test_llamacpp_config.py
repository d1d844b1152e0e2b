"""Docker Model Runner's table of llama-server's arguments.

Source: docker/model-runner `pkg/inference/backends/llamacpp/llamacpp_config_test.go` (`TestGetArgs`,
`TestNewDefaultLlamaCppConfig`), on Linux and amd64. Ours begin with the program and hold `--alias`,
so that the engine has a name to answer by.
"""

from typing import Any

import pytest

from modelrunner_protocol.configure import configure_request
from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.engines.command import llama_server_command

BEGINNING = ("/l", "-ngl", "999", "--metrics", "--model", "/m", "--host", "/e.sock", "--alias", "a")
COMPLETION, EMBEDDING = Mode.COMPLETION, Mode.EMBEDDING


def _arguments(mode: Mode, said: dict[str, Any], **more: Any) -> tuple[str, ...]:
    """What follows the beginning, for a model that was configured so."""
    found = configure_request({"model": "a", **said}).configuration
    config = RunConfig(
        model="a",
        namespace="",
        runner="",
        engine="llama.cpp",
        weights="/m",
        mode=mode,
        context_size=found.context_size or None,
        runtime_flags=found.runtime_flags or (),
        reasoning_budget=found.reasoning_budget,
        **more,
    )
    command = llama_server_command(
        config,
        program="/l",
        socket="/e.sock",
        base=None,
        machine="x86_64",
        cpus=4,
        limited=False,
        environment={},
    )
    assert command[: len(BEGINNING)] == BEGINNING
    return command[len(BEGINNING) :]


@pytest.mark.parametrize(
    ("mode", "said", "arguments"),
    [
        (COMPLETION, {}, "--jinja"),
        (EMBEDDING, {}, "--embeddings --jinja"),
        (EMBEDDING, {"context-size": 1234}, "--embeddings --ctx-size 1234 --jinja"),
        (EMBEDDING, {"context-size": 0}, "--embeddings --jinja"),
        (EMBEDDING, {"runtime-flags": ["--some", "flag"]}, "--embeddings --some flag --jinja"),
        (COMPLETION, {"llamacpp": {"reasoning-budget": -1}}, "--reasoning-budget -1 --jinja"),
        (COMPLETION, {"llamacpp": {"reasoning-budget": 0}}, "--reasoning-budget 0 --jinja"),
        (COMPLETION, {"llamacpp": None}, "--jinja"),
        (COMPLETION, {"llamacpp": {"reasoning-budget": None}}, "--jinja"),
        (
            COMPLETION,
            {"context-size": 8192, "llamacpp": {"reasoning-budget": 2048}},
            "--reasoning-budget 2048 --ctx-size 8192 --jinja",
        ),
        # The original passes -1 on, which this llama-server dies of; 0 is what it means.
        (EMBEDDING, {"context-size": -1}, "--embeddings --ctx-size 0 --jinja"),
    ],
)
def test_arguments(mode: Mode, said: dict[str, Any], arguments: str) -> None:
    """In the original's order."""
    assert _arguments(mode, said) == tuple(arguments.split())


def test_what_lies_beside_a_model() -> None:
    """A template comes before the flags, a projector for chats, too.

    The original leaves out `--jinja` beside a projector, and then no tools can be called.
    """
    template = _arguments(COMPLETION, {}, chat_template="/t.jinja")
    assert template == ("--chat-template-file", "/t.jinja", "--jinja")
    projector = _arguments(COMPLETION, {}, projector="/p.mmproj")
    assert projector == ("--mmproj", "/p.mmproj", "--jinja")
