"""What the layers of a safetensors model keep of each token, by the names and shapes of its tensors.

For a file whose settings nobody tells. Pure. Source: the names that transformers gives to the weights of its
models, `models/*/modeling_*.py`; the shape of a linear layer is [out, in], also where several values
of a row are packed into one. bitsandbytes packs a whole layer of 4 bits into one column: [n, 1].
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from runnerd.weights.attention import MOST_LAYERS, Attention

# Only of the part that reads and writes text: what sees or hears keeps nothing of a token.
_LAYER: Final = (
    r"(?:(?:model|language_model|transformer|text_model|decoder)\.)*(?:layers|h|blocks)\.[0-9]+"
)
_KEYS: Final = re.compile(rf"{_LAYER}\.(?:self_attn|attention|attn)\.(?:k_proj|wk)\.weight")
_VALUES: Final = re.compile(rf"{_LAYER}\.(?:self_attn|attention|attn)\.(?:v_proj|wv)\.weight")
# Both are made of one short vector, when they are needed.
_LATENT: Final = re.compile(rf"{_LAYER}\.self_attn\.kv_a_proj_with_mqa\.weight")
# One column or row is a packed layer, which tells neither.
_SMALLEST: Final = 2
_LARGEST: Final = 1 << 20


def tells(name: str) -> bool:
    """Whether the shape of a tensor of this name is asked for."""
    return any(one.fullmatch(name) for one in (_KEYS, _VALUES, _LATENT))


def attention_of(shapes: Mapping[str, Sequence[int]]) -> Attention | None:
    """Put together what shapes tell; None when that is too little, or cannot be.

    Which layers look at the newest tokens only is not told: all are taken to keep all.

    Args:
        shapes: Of the tensors that `tells` names, of all files of the model.
    """
    if not all(
        len(one) == 2 and _SMALLEST <= min(one) <= max(one) <= _LARGEST for one in shapes.values()
    ):
        return None

    def named(pattern: re.Pattern[str]) -> list[Sequence[int]]:
        return [shape for name, shape in shapes.items() if pattern.fullmatch(name)]

    keys, values, latent = named(_KEYS), named(_VALUES), named(_LATENT)
    if len(keys) != len(values) or not 0 < len(keys) + len(latent) <= MOST_LAYERS:
        return None
    return Attention(
        embedding=max(shape[1] for shape in (*keys, *latent)),
        whole=(sum(one[0] for one in (*keys, *latent)), sum(one[0] for one in values)),
    )
