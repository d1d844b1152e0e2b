"""Which engine flags a user may set, and how a flag string is split.

Source of the rules and of the refused flags: docker/model-runner
`pkg/inference/runtime_flags.go` and `runtime_flags_allowlist.go`. We refuse some more, since
each breaks the way to the engine or its metrics: of llama.cpp's `--api-key`, `--api-prefix`,
`--no-metrics` and `--no-slots`, of vLLM's `--served-model-name` and `--disable-log-stats`. What
we allow beyond it stands in a group of its own in the list, with the reason.
"""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from modelrunner_protocol.wire import Mode

MAX_FLAGS: Final = 256
# What editors and chat programs make of a hyphen: U+2010 to U+2015, the minus sign, the full
# width and the small one.
_DASHES: Final = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_MODES: Final = {
    Mode.RERANKING: {"--rerank", "--reranking"},
    Mode.EMBEDDING: {"--embedding", "--embeddings"},
}


class FlagError(ValueError):
    """A flag that may not be set; the message names it and says what to do."""


def allowed_flags(engine: str) -> frozenset[str]:
    """The flags that `engine` accepts from users: "llama.cpp" or "vllm"; else none."""
    return _ALLOWED.get(engine, frozenset())


def mode_of(flags: Iterable[str]) -> Mode | None:
    """The mode that flags of llama.cpp start it in, which counts where no mode is set.

    Who ranks starts the engine with `--embeddings` as well, so reranking comes first.

    Source: `ParseBackendMode` and `ConfigureRequest` of docker/model-runner, which looks for
    `--embeddings` only.
    """
    found = set(flags)
    return next((mode for mode, words in _MODES.items() if words & found), None)


def split_flags(text: str) -> tuple[str, ...]:
    """Split like a POSIX shell, without expansion of variables, globs or commands.

    Raises:
        FlagError: an unclosed quote or a trailing backslash.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise FlagError(f"the flags {text!r} cannot be split like a shell line: {error}") from error


def check_flags(engine: str, tokens: Sequence[str]) -> None:
    """Accept the tokens of a command line, or say which one may not be there.

    Raises:
        FlagError: a flag outside the allowlist, a path, or a value that hides a flag.
    """
    if len(tokens) > MAX_FLAGS:
        raise FlagError(f"{len(tokens)} runtime flags; at most {MAX_FLAGS} are allowed")
    allowed = allowed_flags(engine)
    for token in tokens:
        _check_token(engine, token, allowed)


def _check_token(engine: str, token: str, allowed: frozenset[str]) -> None:
    if "/" in token or "\\" in token:
        raise FlagError(
            f'runtime flag value "{token}" is not allowed: it holds a path separator, and flags may not name files'
        )
    if "\0" in token:
        raise FlagError(f"runtime flag value {token!r} is not allowed: it holds a NUL character")
    if _DASHES.match(token):
        raise FlagError(
            f'runtime flag "{token}" is not allowed: it begins with a dash that is no hyphen; write "-"'
        )
    if not token.startswith("-"):
        return
    key, equals, value = token.partition("=")
    if key not in allowed:
        raise FlagError(_forbidden(engine, key))
    if equals and value.startswith("-") and not re.match(r"-\.?[0-9]", value):
        raise FlagError(f'runtime flag "{token}" is not allowed: its value looks like another flag')


def _forbidden(engine: str, key: str) -> str:
    text = f'runtime flag "{key}" is not allowed for backend "{engine}"'
    if re.fullmatch(r"-\.?[0-9][0-9.]*", key):
        return f"{text}: write a negative value as --flag={key}"
    return f"{text}: remove it; the flags that may be set are listed in docs/reference/runtime-flags.md"


def _read(engine: str) -> frozenset[str]:
    # A runner starts its engine only after this: importlib.resources takes longer than all else.
    name = os.path.join(os.path.dirname(__file__), "allowlists", f"{engine}.txt")  # noqa: PTH118, PTH120  # pathlib is slow to import
    with open(name, encoding="utf-8") as lines:  # noqa: PTH123  # the same
        return frozenset(line for line in lines.read().split() if line.startswith("-"))


_ALLOWED: Final = {engine: _read(engine) for engine in ("llama.cpp", "vllm")}
