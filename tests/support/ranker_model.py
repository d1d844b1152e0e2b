"""A tiny model that ranks: a BERT of one layer with a head for scores, made on the spot.

What it says means nothing, but it is made as real rerankers are (bge-reranker, jina-reranker), so
that an engine gives each document the score of its text.
"""

import random
import struct
from typing import Any, Final

from tests.support.gguf_files import ALIGNMENT, header, tensor

WORDS: Final = ("where", "is", "paris", "in", "france", "rome", "italy", "a", "b", "c")
"""The words that it tells apart."""

_WIDTH: Final = 32
_INNER: Final = 64
_PLACES: Final = 256
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_METADATA: Final[dict[str, Any]] = {
    "general.architecture": "bert",
    "general.name": "Tiny ranker",
    "general.file_type": 0,
    "bert.context_length": _PLACES,
    "bert.embedding_length": _WIDTH,
    "bert.feed_forward_length": _INNER,
    "bert.block_count": 1,
    "bert.attention.head_count": 2,
    "bert.attention.layer_norm_epsilon": 1e-12,
    "bert.attention.causal": False,
    "bert.pooling_type": 4,
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.token_type_count": 2,
    "tokenizer.ggml.tokens": [*_SPECIAL, *(f"\u2581{word}" for word in WORDS)],
    "tokenizer.ggml.token_type": [3] * len(_SPECIAL) + [1] * len(WORDS),
    "tokenizer.ggml.padding_token_id": 0,
    "tokenizer.ggml.unknown_token_id": 1,
    "tokenizer.ggml.bos_token_id": 2,
    "tokenizer.ggml.cls_token_id": 2,
    "tokenizer.ggml.seperator_token_id": 3,
    "tokenizer.ggml.eos_token_id": 3,
}
_LAYER: Final = {
    "attn_q": (_WIDTH, _WIDTH),
    "attn_k": (_WIDTH, _WIDTH),
    "attn_v": (_WIDTH, _WIDTH),
    "attn_output": (_WIDTH, _WIDTH),
    "ffn_up": (_WIDTH, _INNER),
    "ffn_down": (_INNER, _WIDTH),
}


def ranker_model(seed: int = 7) -> bytes:
    """The whole GGUF file, the same for the same seed."""
    chance = random.Random(seed)
    table, data, offset = [], b"", 0
    for name, shape, plain in _tensors():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        numbers = [plain if plain is not None else chance.gauss(0, 0.5) for _ in range(count)]
        table.append(tensor(name, shape, offset=offset))
        values = struct.pack(f"<{count}f", *numbers)
        values += bytes(-len(values) % ALIGNMENT)
        data, offset = data + values, offset + len(values)
    head = header(_METADATA, table)
    return head + bytes(-len(head) % ALIGNMENT) + data


def _tensors() -> list[tuple[str, tuple[int, ...], float | None]]:
    """Name, shape, and the number that all of it is; None: chance."""
    vocabulary = len(_SPECIAL) + len(WORDS)
    found: list[tuple[str, tuple[int, ...], float | None]] = [
        ("token_embd.weight", (_WIDTH, vocabulary), None),
        ("token_types.weight", (_WIDTH, 2), None),
        ("position_embd.weight", (_WIDTH, _PLACES), None),
        ("token_embd_norm.weight", (_WIDTH,), 1.0),
        ("token_embd_norm.bias", (_WIDTH,), 0.0),
    ]
    for name, shape in _LAYER.items():
        found += [(f"blk.0.{name}.weight", shape, None), (f"blk.0.{name}.bias", shape[1:], 0.0)]
    for name in ("attn_output_norm", "layer_output_norm"):
        found += [(f"blk.0.{name}.weight", (_WIDTH,), 1.0), (f"blk.0.{name}.bias", (_WIDTH,), 0.0)]
    return [
        *found,
        ("cls.weight", (_WIDTH, _WIDTH), None),
        ("cls.bias", (_WIDTH,), 0.0),
        ("cls.output.weight", (_WIDTH, 1), None),
        ("cls.output.bias", (1,), 0.0),
    ]
