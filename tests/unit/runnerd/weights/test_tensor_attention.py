"""What the names and shapes of tensors tell of a model's layers."""

import pytest

from runnerd.weights.attention import Attention
from runnerd.weights.tensor_attention import attention_of, tells

K, V = "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight"


def test_keys_and_values_of_all_layers() -> None:
    """Grouped keys are as many as their weights have rows; a token's vector is as long as a row."""
    shapes = {
        f"language_model.{name.replace('.0.', f'.{at}.')}": (192, 576)
        for at in range(3)
        for name in (K, V)
    }
    assert attention_of(shapes) == Attention(embedding=576, whole=(576, 576))


def test_latent_attention() -> None:
    """One short vector is kept for keys and values together."""
    shapes = {"model.layers.7.self_attn.kv_a_proj_with_mqa.weight": (576, 2048)}
    assert attention_of(shapes) == Attention(embedding=2048, whole=(576, 0))


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {K: (192, 576)},
        {K: (192,), V: (192, 576)},
        {K: (0, 576), V: (192, 576)},
        {K: (1 << 40, 576), V: (192, 576)},
        # bitsandbytes: 4 bits each, all of a layer in one column (or row).
        {K: (524_288, 1), V: (524_288, 1)},
        {K: (1, 524_288), V: (1, 524_288)},
        {f"layers.{at}.attention.w{one}.weight": (2, 2) for at in range(1025) for one in "kv"},
    ],
)
def test_too_little_or_absurd(shapes: dict[str, tuple[int, ...]]) -> None:
    """Nobody guesses from what no model has."""
    assert attention_of(shapes) is None


@pytest.mark.parametrize(
    "name",
    [
        "vision_tower.layers.0.self_attn.k_proj.weight",
        "model.visual.blocks.0.attn.k_proj.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.k_proj.bias",
        f"{K}\n",
    ],
)
def test_what_does_not_count(name: str) -> None:
    """Eyes and ears keep nothing of a token."""
    assert not tells(name)
    assert tells(K)
