"""How much memory llama-server will need with the flags that it gets. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.weights.gguf import GgufHeader
from runnerd.weights.memory import BATCH, PAD, SMALLEST_CONTEXT, Tuning, estimate

_MEBIBYTE: Final = 1 << 20
_CONTEXT: Final = ("-c", "--ctx-size")
_TYPE_K: Final = ("-ctk", "--cache-type-k")
_TYPE_V: Final = ("-ctv", "--cache-type-v")
_PARALLEL: Final = ("-np", "--parallel")
_UBATCH: Final = ("-ub", "--ubatch-size")
_PROMPTS: Final = ("-cram", "--cache-ram")
PROMPTS_VARIABLE: Final = "LLAMA_ARG_CACHE_RAM"
"""MiB of prompts that llama-server keeps beside those at work. Older ones do not know the flag,
and die of it; a variable that they do not know does no harm."""

_VARIABLES: Final = {
    _CONTEXT: "LLAMA_ARG_CTX_SIZE",
    _TYPE_K: "LLAMA_ARG_CACHE_TYPE_K",
    _TYPE_V: "LLAMA_ARG_CACHE_TYPE_V",
    _PARALLEL: "LLAMA_ARG_N_PARALLEL",
    _UBATCH: "LLAMA_ARG_UBATCH",
    _PROMPTS: PROMPTS_VARIABLE,
}


def tuning(config: RunConfig, base: Sequence[str], environment: Mapping[str, str]) -> Tuning:
    """Read the flags as llama-server will: the last one counts, and a flag more than a variable.

    Args:
        config: What to serve.
        base: The first arguments, those of LLAMA_ARGS.
        environment: The engine's variables.
    """
    flags = dict(_flags(base))
    if config.context_size is not None:
        flags["-c"] = str(max(config.context_size, 0))
        flags.pop("--ctx-size", None)
    for name, value in _flags(config.runtime_flags):
        # Put last, so that of two spellings of one flag the newer one is found.
        flags.pop(name, None)
        flags[name] = value

    def told(names: tuple[str, str]) -> str:
        said = [value for name, value in flags.items() if name in names]
        return said[-1] if said else environment.get(_VARIABLES[names], "")

    parallel = _number(told(_PARALLEL))
    return Tuning(
        context=_number(told(_CONTEXT)),
        keys=told(_TYPE_K) or "f16",
        values=told(_TYPE_V) or "f16",
        parallel=parallel if parallel and parallel > 0 else None,
        unified=bool({"-kvu", "--kv-unified"} & flags.keys()),
        whole="--swa-full" in flags,
        batch=_number(told(_UBATCH)) or BATCH,
        prompts=max(_number(told(_PROMPTS)) or 0, 0) * _MEBIBYTE,
    )


def fitting(
    header: GgufHeader | None, tuned: Tuning, *, weights: int, mode: Mode, most: int
) -> int | None:
    """The largest context, from `SMALLEST_CONTEXT` on, with which an engine needs `most` bytes.

    None when it needs no more with the context that the model was trained for, or when there is
    none; and when a context was asked for, since then it is not ours to choose.
    """
    if tuned.context is not None or header is None or header.attention is None:
        return None

    def needed(context: int) -> int:
        chosen = replace(tuned, context=context)
        return estimate(header, chosen, weights=weights, mode=mode).total

    trained = header.context_size or SMALLEST_CONTEXT
    if needed(trained) <= most or trained <= SMALLEST_CONTEXT:
        return None
    low, high = SMALLEST_CONTEXT // PAD, trained // PAD
    if needed(low * PAD) > most:
        return SMALLEST_CONTEXT
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle * PAD) <= most else (low, middle - 1)
    return low * PAD


def _flags(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each flag with the word behind it, or behind its equals sign."""
    for word, following in pairwise((*words, "")):
        if word.startswith("-") and not _number_like(word):
            name, equals, value = word.partition("=")
            yield name, value if equals else following


def _number_like(word: str) -> bool:
    return word[1:2].isdigit()


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
