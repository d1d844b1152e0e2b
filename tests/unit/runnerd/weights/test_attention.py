"""What layers keep of each token."""

import io

from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.attention import MOST_LAYERS, Attention, attention
from runnerd.weights.gguf import read
from tests.support.gguf_files import header

LLAMA = {
    "llama.block_count": 4,
    "llama.embedding_length": 512,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
}


def test_groups_of_heads() -> None:
    """The length of a head follows from the vector's when the file does not tell it."""
    found = attention("llama", LLAMA, {})
    assert found == Attention(embedding=512, whole=(4 * 2 * 64, 4 * 2 * 64))


def test_told_lengths() -> None:
    """Keys and values may have lengths of their own; of a latent attention only keys are kept."""
    numbers = {
        **LLAMA,
        "llama.attention.key_length": 192,
        "llama.attention.value_length": 128,
    }
    found = attention("llama", numbers, {})
    assert found
    assert found.whole == (4 * 2 * 192, 4 * 2 * 128)
    found = attention("llama", {**numbers, "llama.attention.key_length_mla": 192}, {})
    assert found
    assert found.whole == (4 * 2 * 192, 0)


def test_layers_that_differ() -> None:
    """A number of heads per layer counts as it is; layers without heads keep nothing."""
    found = attention("llama", LLAMA, {"llama.attention.head_count_kv": (2, 0, 4, 0)})
    assert found
    assert found.whole == (6 * 64, 6 * 64)
    found = attention("llama", {**LLAMA, "llama.full_attention_interval": 4}, {})
    assert found
    assert found.whole == (2 * 64, 2 * 64)


def test_sliding_windows() -> None:
    """The pattern is the file's, else the architecture's; without one all layers keep all."""
    gemma = {key.replace("llama", "gemma3"): value for key, value in LLAMA.items()}
    gemma |= {"gemma3.block_count": 12, "gemma3.attention.sliding_window": 512}
    found = attention("gemma3", gemma, {})
    assert found
    assert (found.whole[0], found.recent[0], found.window) == (2 * 2 * 64, 10 * 2 * 64, 512)
    found = attention("gemma3", {**gemma, "gemma3.attention.sliding_window_pattern": 2}, {})
    assert found
    assert found.recent[0] == 6 * 2 * 64
    pattern = {"gemma3.attention.sliding_window_pattern": (True,) * 11 + (False,)}
    found = attention("gemma3", gemma, pattern)
    assert found
    assert found.recent[0] == 11 * 2 * 64
    found = attention("llama", {**LLAMA, "llama.attention.sliding_window": 512}, {})
    assert found
    assert found.recent == (0, 0)


def test_too_little_is_told() -> None:
    """Without layers, or with more than any model has, nothing is said."""
    assert attention("llama", {}, {}) is None
    assert attention("llama", {"llama.block_count": MOST_LAYERS + 1}, {}) is None


@given(
    st.dictionaries(st.sampled_from(sorted(LLAMA)), st.integers(-(2**63), 2**64)),
    st.dictionaries(st.sampled_from(sorted(LLAMA)), st.lists(st.integers(-(2**63), 2**64))),
)
def test_any_numbers(numbers: dict[str, int], arrays: dict[str, list[int]]) -> None:
    """Whatever a stranger's file tells, nothing is negative and nothing breaks."""
    found = attention("llama", numbers, arrays)
    assert found is None or min(*found.whole, *found.recent, found.window, found.embedding) >= 0


def test_from_a_file() -> None:
    """The reader keeps the numbers, the arrays that have one per layer, and counts the tokens."""
    metadata = {
        "general.architecture": "llama",
        **LLAMA,
        "llama.attention.head_count_kv": [2, 2, 2, 1],
        "tokenizer.ggml.tokens": ["a", "b", "c"],
    }
    found = read(io.BytesIO(header(metadata)))
    assert found.vocabulary == 3
    assert found.attention == Attention(embedding=512, whole=(7 * 64, 7 * 64))
    long = {**metadata, "llama.attention.head_count_kv": [1] * (MOST_LAYERS + 1)}
    found = read(io.BytesIO(header(long)))
    assert found.attention
    assert found.attention.whole == (4 * 8 * 64, 4 * 8 * 64)
