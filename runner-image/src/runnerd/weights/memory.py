"""How much memory an engine needs for a model, as its files tell it. Pure.

An estimate: what the files hold, what is kept of each token, and what is computed with. Source:
llama.cpp `src/llama-kv-cache.cpp`, `src/llama-kv-cache-iswa.cpp`, `src/llama-context.cpp`; other
engines keep the same of each token, and take what else they find.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from modelrunner_protocol.wire import FileKind, Mode, WeightsFile
from runnerd.weights.attention import Attention

SMALLEST_CONTEXT: Final = 4096
"""Tokens: nobody gets less who did not ask for it (`--fit-ctx` of llama-server)."""

_MEBIBYTE: Final = 1 << 20
# The program itself, its threads' stacks, its HTTP server.
_FIXED: Final = 64 * _MEBIBYTE
PAD: Final = 256
"""Tokens of context are given out by so many."""

_SLOTS: Final = 4
BATCH: Final = 512
"""Tokens that are computed together where nothing else is said."""

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


class Known(Protocol):
    """What the files of a model tell, in whatever format: `gguf.GgufHeader`, `ModelConfig`."""

    @property
    def attention(self) -> Attention | None:
        """What its layers keep of each token."""

    @property
    def context_size(self) -> int | None:
        """Tokens that it was trained for."""

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""


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
    batch: int = BATCH
    prompts: int = 0


def estimate(
    model: Known | None, tuned: Tuning, *, weights: int, mode: Mode = Mode.COMPLETION
) -> Estimate:
    """What an engine needs.

    Args:
        model: What its files tell; None when they cannot be read.
        tuned: What the engine will be told.
        weights: Bytes of all files that it loads.
        mode: What it is started for.
    """
    prompts = tuned.prompts if mode is Mode.COMPLETION else 0
    if model is None or model.attention is None:
        return Estimate(weights=weights, prompts=prompts)
    kept, trained = model.attention, model.context_size or SMALLEST_CONTEXT
    context = _padded(tuned.context or trained, tuned)
    slots = tuned.parallel or _SLOTS
    shared = tuned.parallel is None or tuned.unified
    recent = kept.window * (slots if shared else 1) + tuned.batch
    near = context if tuned.whole else min(context, _up(recent) * (1 if shared else slots))
    cache = _bytes(kept.whole, context, tuned) + _bytes(kept.recent, near, tuned)
    # The mask of who may look at whom, the vectors on their way, and of models that answer with
    # a vector the probabilities of every token.
    row = 2 * context + 4 * _ALIVE * kept.embedding
    row += 0 if mode is Mode.COMPLETION else 4 * model.vocabulary
    return Estimate(
        weights=weights,
        cache=cache,
        compute=_FIXED + tuned.batch * row,
        prompts=prompts,
        context=context,
    )


def usual(model: Known | None, files: Iterable[WeightsFile]) -> int | None:
    """Bytes that the model needs with `SMALLEST_CONTEXT` tokens, or all that it was trained for.

    None where its files do not tell what it keeps of each token.
    """
    if model is None or model.attention is None:
        return None
    context = min(model.context_size or SMALLEST_CONTEXT, SMALLEST_CONTEXT)
    return estimate(model, Tuning(context=context), weights=_loaded(files)).total


def least(files: Iterable[WeightsFile]) -> int:
    """Bytes that the model needs whatever it keeps of each token."""
    return estimate(None, Tuning(), weights=_loaded(files)).total


def _loaded(files: Iterable[WeightsFile]) -> int:
    loaded = (FileKind.WEIGHTS, FileKind.PROJECTOR)
    return sum(file.size_bytes for file in files if file.kind in loaded)


def _padded(context: int, tuned: Tuning) -> int:
    """How many tokens there is room for, of all requests together."""
    if tuned.parallel is None or tuned.unified:
        return _up(context)
    return _up(context // tuned.parallel) * tuned.parallel


def _up(count: int) -> int:
    return max(-(-count // PAD), 1) * PAD


def _bytes(kept: tuple[int, int], tokens: int, tuned: Tuning) -> int:
    found = 0
    for count, kind in zip(kept, (tuned.keys, tuned.values), strict=True):
        size, block = _TYPES.get(kind, _TYPES["f16"])
        found += count * tokens * size // block
    return found
