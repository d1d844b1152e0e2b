"""The command line of llama-server.

Source of the order: docker/model-runner `pkg/inference/backends/llamacpp/llamacpp_config.go`.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from modelrunner_protocol.wire import Draft, Mode, RunConfig
from runnerd.config import ConfigError
from runnerd.engines.environment import SPECULATION, THREADS
from runnerd.engines.pooling import pooling_flags

_IN_IMAGE: Final = "/app/llama-server"
# What we set ourselves: a second value in LLAMA_ARGS would lead past the supervision.
_OURS: Final = frozenset(
    {"-m", "--model", "--host", "--port", "-a", "--alias", "-mm", "--mmproj"}
    | {"-md", "--model-draft", "--spec-draft-model"}
    | {"--embedding", "--embeddings", "--rerank", "--reranking", "--models-dir", "--models-preset"}
    | {
        "-mu",
        "--model-url",
        "-hf",
        "-hfr",
        "--hf-repo",
        "-hff",
        "--hf-file",
        "-dr",
        "--docker-repo",
    }
    | {"--api-key", "--api-key-file", "--api-prefix", "--ssl-key-file", "--ssl-cert-file"}
    | {"--log-file", "--reuse-port"}
)
_THREADS: Final = frozenset({"-t", "--threads"})
_SPECULATION: Final = "--spec-type"


def find_llama_server(chosen: str) -> str:
    """The program to start: the chosen one, the official image's, or the first on PATH.

    The chosen one may be the folder that holds it, as Docker Model Runner wants it named.

    Raises:
        ConfigError: there is none, or the chosen one is not executable.
    """
    if chosen:
        if os.path.isdir(chosen):  # noqa: PTH112  # pathlib is slow to import
            chosen = os.path.join(chosen, "llama-server")  # noqa: PTH118  # as above
        if not os.access(chosen, os.X_OK) or os.path.isdir(chosen):  # noqa: PTH112  # pathlib is slow to import
            raise ConfigError(f"LLAMA_SERVER_PATH: {chosen} is not a program that can be run")
        return chosen
    if os.access(_IN_IMAGE, os.X_OK):
        return _IN_IMAGE
    import shutil  # noqa: PLC0415  # slow to import, and the images have the program in its place

    if found := shutil.which("llama-server"):
        return found
    raise ConfigError(
        f"there is no llama-server in this image ({_IN_IMAGE} or on PATH): build it from an image "
        "that has one, or set LLAMA_SERVER_PATH"
    )


def llama_server_command(
    config: RunConfig,
    *,
    program: str,
    socket: str,
    base: str | None,
    machine: str,
    cpus: int,
    limited: bool,
    environment: Mapping[str, str],
    gpu_layers: int = 999,
) -> tuple[str, ...]:
    """The whole command.

    Args:
        config: What to serve.
        program: The executable.
        socket: Where it listens; a path that ends in ".sock".
        base: LLAMA_ARGS, None for the usual first arguments.
        machine: The processor's name as `uname -m` gives it.
        cpus: How many processors the container may use.
        limited: Whether that is fewer than it sees, which llama-server would not notice.
        environment: The engine's variables.
        gpu_layers: How many layers may lie in devices' memory, unless `base` is given.

    Raises:
        ConfigError: `base` cannot be split or holds an argument that is ours.
    """
    threads = _threads(config, environment, machine, cpus, limited=limited)
    first: tuple[str, ...] = ("-ngl", str(gpu_layers), "--metrics", *threads)
    if base is not None:
        first = first_arguments(base)
    command = [program, *first]
    command += ["--model", config.weights, "--host", socket, "--alias", config.model]
    if config.chat_template:
        command += ["--chat-template-file", config.chat_template]
    if config.projector and config.mode is Mode.COMPLETION:
        command += ["--mmproj", config.projector]
    if config.mode is Mode.EMBEDDING:
        command += ["--embeddings", *pooling_flags(config, first, environment)]
    if config.mode is Mode.RERANKING:
        command += ["--embeddings", "--reranking"]
    if config.reasoning_budget is not None:
        command += ["--reasoning-budget", str(config.reasoning_budget)]
    if config.context_size is not None:
        # Its own word for "what the model was trained for" is 0; of -1 it dies.
        command += ["--ctx-size", str(max(config.context_size, 0))]
    if config.draft:
        command += _speculation(config, config.draft, first, environment)
    command += _separated(config.runtime_flags)
    return (*command,) if "--no-jinja" in config.runtime_flags else (*command, "--jinja")


def _threads(
    config: RunConfig, environment: Mapping[str, str], machine: str, cpus: int, *, limited: bool
) -> tuple[str, ...]:
    chosen = any(flag.partition("=")[0] in _THREADS for flag in config.runtime_flags)
    if chosen or environment.get(THREADS):
        return ()
    if machine in {"aarch64", "arm64"}:
        return ("--threads", str(max(2, cpus // 2)))
    # More threads than the quota pays for are throttled, all of them at once.
    return ("--threads", str(cpus)) if limited else ()


def _speculation(
    config: RunConfig, draft: Draft, first: Iterable[str], environment: Mapping[str, str]
) -> Iterator[str]:
    """The flags of a draft model, before the user's, which may say the same otherwise."""
    yield from ("--model-draft", draft.weights)
    chosen = any(flag.partition("=")[0] == _SPECULATION for flag in (*first, *config.runtime_flags))
    if not chosen and not environment.get(SPECULATION):
        # Without it newer engines load the draft, and never ask it.
        yield from (_SPECULATION, "draft-simple")
    if draft.max_tokens is not None:
        yield from ("--spec-draft-n-max", str(draft.max_tokens))
    if draft.min_probability is not None:
        yield from ("--spec-draft-p-min", f"{draft.min_probability:.2f}")


def _separated(flags: tuple[str, ...]) -> Iterator[str]:
    """`--flag=value`, the only way to write a negative value, as llama-server reads it."""
    for flag in flags:
        name, equals, value = flag.partition("=")
        yield from (name, value) if equals and flag.startswith("-") else (flag,)


def first_arguments(base: str) -> tuple[str, ...]:
    """The words of LLAMA_ARGS.

    Raises:
        ConfigError: it cannot be split, or holds an argument that is ours.
    """
    try:
        words = tuple(shlex.split(base))
    except ValueError as error:
        raise ConfigError(f"LLAMA_ARGS cannot be split like a shell line: {error}") from error
    for word in words:
        if word.partition("=")[0] in _OURS:
            raise ConfigError(f'LLAMA_ARGS may not hold "{word}": runnerd sets it')
    return words
