"""What the layers of a model keep of each token, as a GGUF header tells it. Pure.

Source: docs/gguf.md of ggml; llama.cpp `src/llama-hparams.cpp` (`set_swa_pattern`) and the calls
of it in `src/models/*.cpp`, which know the pattern of many models that do not tell it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST_LAYERS: Final = 1024
"""Elements of an array with a value per layer that are read."""

LAYERS: Final = ".block_count"
EMBEDDING: Final = ".embedding_length"
HEADS: Final = ".attention.head_count"
HEADS_KV: Final = ".attention.head_count_kv"
KEY: Final = ".attention.key_length"
VALUE: Final = ".attention.value_length"
LATENT: Final = ".attention.key_length_mla"
WINDOW: Final = ".attention.sliding_window"
PATTERN: Final = ".attention.sliding_window_pattern"
INTERVAL: Final = ".full_attention_interval"

TOLD: Final = (
    LAYERS,
    EMBEDDING,
    HEADS,
    HEADS_KV,
    KEY,
    VALUE,
    LATENT,
    WINDOW,
    PATTERN,
    INTERVAL,
)
"""Ends of the keys that are read, after the name of the architecture."""

# Every so many layers one looks at the whole context.
_PERIODS: Final = {
    "cohere2": 4,
    "gemma-embedding": 6,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "llama4": 4,
}
_WINDOWS: Final = {"gemma2": 4096, "llama4": 8192}
"""Where the file does not tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What is kept of each token.

    Attributes:
        embedding: Length of the vector that stands for a token.
        whole: Values (of keys, of values) that all layers together keep of each token of the
            context.
        recent: The same, of the newest tokens only: `window` of them.
    """

    embedding: int
    whole: tuple[int, int]
    recent: tuple[int, int] = (0, 0)
    window: int = 0


def attention(
    architecture: str, numbers: Mapping[str, int], arrays: Mapping[str, Sequence[int]]
) -> Attention | None:
    """Put together what the header tells; None when that is too little, or cannot be.

    Args:
        architecture: The model's, with which the keys begin.
        numbers: Values of the keys that end as in `TOLD`.
        arrays: Those that have one per layer.
    """

    def number(name: str, otherwise: int = 0) -> int:
        return max(numbers.get(architecture + name, otherwise), 0)

    layers, embedding = number(LAYERS), number(EMBEDDING)
    if not 0 < layers <= MOST_LAYERS:
        return None
    heads = _each(architecture + HEADS, numbers, arrays, layers, 0)
    heads_kv = _each(architecture + HEADS_KV, numbers, arrays, layers, max(heads))
    usual = embedding // max(heads) if max(heads) else 0
    key = number(KEY, usual)
    # Of a latent attention's values nothing is kept but their keys.
    value = 0 if number(LATENT) else number(VALUE, usual)
    if interval := number(INTERVAL):
        heads_kv = [kept if not (at + 1) % interval else 0 for at, kept in enumerate(heads_kv)]
    window = number(WINDOW, _WINDOWS.get(architecture, 0))
    windowed = _windowed(architecture, numbers, arrays, layers) if window else [False] * layers
    near = sum(kept for kept, is_near in zip(heads_kv, windowed, strict=True) if is_near)
    far = sum(heads_kv) - near
    return Attention(
        embedding=embedding,
        whole=(far * key, far * value),
        recent=(near * key, near * value),
        window=window,
    )


def _each(
    key: str,
    numbers: Mapping[str, int],
    arrays: Mapping[str, Sequence[int]],
    layers: int,
    otherwise: int,
) -> list[int]:
    """A value for each layer, of a key that has one for all or one for each."""
    if len(told := arrays.get(key, ())) >= layers:
        return [max(one, 0) for one in told[:layers]]
    return [max(numbers.get(key, otherwise), 0)] * layers


def _windowed(
    architecture: str, numbers: Mapping[str, int], arrays: Mapping[str, Sequence[int]], layers: int
) -> list[bool]:
    """Which layers look at the newest tokens only; none where nobody tells."""
    if len(told := arrays.get(architecture + PATTERN, ())) >= layers:
        return [bool(one) for one in told[:layers]]
    period = numbers.get(architecture + PATTERN) or _PERIODS.get(architecture, 1)
    return [at % max(period, 1) < period - 1 for at in range(layers)]
