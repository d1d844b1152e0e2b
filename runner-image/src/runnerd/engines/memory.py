"""How much memory llama-server will need, before it is started. Pure.

An estimate: what the file holds, what it keeps of each token, and what it computes with. Source:
llama.cpp `src/llama-kv-cache.cpp`, `src/llama-kv-cache-iswa.cpp`, `src/llama-context.cpp`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.weights.gguf import GgufHeader

SMALLEST_CONTEXT: Final = 4096
"""Tokens: nobody gets less who did not ask for it (`--fit-ctx` of llama-server)."""

_MEBIBYTE: Final = 1 << 20
# The program itself, its threads' stacks, its HTTP server.
_FIXED: Final = 64 * _MEBIBYTE
_PAD: Final = 256
_SLOTS: Final = 4
_BATCH: Final = 512
# Vectors of a token's length that are alive at once while a batch is computed, as 32 bits.
_ALIVE: Final = 16
# (bytes of a block, values in it)
_TYPES: Final = {
    "f32": (4, 1),
    "f16": (2, 1),
    "bf16": (2, 1),
    "q8_0": (34, 32),
    "q5_1": (24, 32),
    "q5_0": (22, 32),
    "q4_1": (20, 32),
    "q4_0": (18, 32),
    "iq4_nl": (18, 32),
}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes that an engine will need, and the tokens of context that it will have.

    `prompts` is what it may come to keep of finished conversations.
    """

    weights: int
    cache: int = 0
    compute: int = _FIXED
    prompts: int = 0
    context: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.compute + self.prompts

    def beside(self, other: "Estimate") -> "Estimate":
        """Of a model and another one that the same process has loaded."""
        return replace(
            self,
            weights=self.weights + other.weights,
            cache=self.cache + other.cache,
            compute=self.compute + other.compute - _FIXED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What the engine will be told that changes its need of memory.

    Attributes:
        context: Tokens; 0: as many as the model was trained for; None: nothing is said.
        keys, values: Types of what is kept.
        parallel: Requests at once; None: llama-server chooses, and they share one cache.
        unified: They share one cache although their number was chosen.
        whole: What looks at the newest tokens only keeps all of them.
        batch: Tokens that are computed together.
        prompts: Bytes of finished conversations that are kept at most; 0 where there is no bound.
    """

    context: int | None = None
    keys: str = "f16"
    values: str = "f16"
    parallel: int | None = None
    unified: bool = False
    whole: bool = False
    batch: int = _BATCH
    prompts: int = 0


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
        batch=_number(told(_UBATCH)) or _BATCH,
        prompts=max(_number(told(_PROMPTS)) or 0, 0) * _MEBIBYTE,
    )


def estimate(
    header: GgufHeader | None, tuned: Tuning, *, weights: int, mode: Mode = Mode.COMPLETION
) -> Estimate:
    """What an engine needs.

    Args:
        header: That of the model's (first) file; None when it cannot be read.
        tuned: What the engine will be told.
        weights: Bytes of all files that it loads.
        mode: What it is started for.
    """
    prompts = tuned.prompts if mode is Mode.COMPLETION else 0
    if header is None or header.attention is None:
        return Estimate(weights=weights, prompts=prompts)
    kept, trained = header.attention, header.context_size or SMALLEST_CONTEXT
    context = _padded(tuned.context or trained, tuned)
    slots = tuned.parallel or _SLOTS
    shared = tuned.parallel is None or tuned.unified
    recent = kept.window * (slots if shared else 1) + tuned.batch
    near = context if tuned.whole else min(context, _up(recent) * (1 if shared else slots))
    cache = _bytes(kept.whole, context, tuned) + _bytes(kept.recent, near, tuned)
    # The mask of who may look at whom, the vectors on their way, and of models that answer with
    # a vector the probabilities of every token.
    row = 2 * context + 4 * _ALIVE * kept.embedding
    row += 0 if mode is Mode.COMPLETION else 4 * header.vocabulary
    return Estimate(
        weights=weights,
        cache=cache,
        compute=_FIXED + tuned.batch * row,
        prompts=prompts,
        context=context,
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
    low, high = SMALLEST_CONTEXT // _PAD, trained // _PAD
    if needed(low * _PAD) > most:
        return SMALLEST_CONTEXT
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle * _PAD) <= most else (low, middle - 1)
    return low * _PAD


def _padded(context: int, tuned: Tuning) -> int:
    """How many tokens there is room for, of all requests together."""
    if tuned.parallel is None or tuned.unified:
        return _up(context)
    return _up(context // tuned.parallel) * tuned.parallel


def _up(count: int) -> int:
    return max(-(-count // _PAD), 1) * _PAD


def _bytes(kept: tuple[int, int], tokens: int, tuned: Tuning) -> int:
    found = 0
    for count, kind in zip(kept, (tuned.keys, tuned.values), strict=True):
        size, block = _TYPES.get(kind, _TYPES["f16"])
        found += count * tokens * size // block
    return found


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
