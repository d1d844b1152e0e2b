"""Builds small GGUF files for tests, right ones and wrong ones."""

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runnerd.weights.gguf_types import TENSOR_TYPES

U32: Final = 4
F32_TENSOR: Final = 0
ALIGNMENT: Final = 32

MODEL: Final[Mapping[str, Any]] = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.name": "Tiny",
    "general.file_type": 3,
    "llama.context_length": 2048,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a"],
    "tokenizer.ggml.scores": [0.0, 1.5],
}
"""Metadata of a model that `runnerd` accepts."""

SIZED: Final[Mapping[str, Any]] = {
    **MODEL,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
}
"""The same of one that tells what it keeps of each token: its memory can be estimated."""


def text(value: str | bytes) -> bytes:
    """A GGUF string."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value(item: Any) -> bytes:
    """A metadata value with its type: str, bool, int (u32), float (f32) or a list of them."""
    if isinstance(item, list):
        kind = value(item[0])[:4] if item else struct.pack("<I", U32)
        return (
            struct.pack("<I", 9)
            + kind
            + struct.pack("<Q", len(item))
            + b"".join(value(element)[4:] for element in item)
        )
    if isinstance(item, str | bytes):
        return struct.pack("<I", 8) + text(item)
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    return struct.pack("<II", U32, item)


def tensor(name: str, shape: Sequence[int], kind: int = F32_TENSOR, offset: int = 0) -> bytes:
    """One entry of the tensor table."""
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def header(
    metadata: Mapping[str, Any] = MODEL,
    tensors: Sequence[bytes] = (),
    *,
    version: int = 3,
    keys: int | None = None,
    count: int | None = None,
) -> bytes:
    """A header; `keys` and `count` are what it claims to have."""
    body = b"".join(text(key) + value(item) for key, item in metadata.items())
    claims = (len(tensors) if count is None else count, len(metadata) if keys is None else keys)
    return b"GGUF" + struct.pack("<IQQ", version, *claims) + body + b"".join(tensors)


def model(size: int = 4096, metadata: Mapping[str, Any] = MODEL, seed: int = 1) -> bytes:
    """A whole model with one F32 tensor, of exactly `size` bytes with random weights."""
    head = beginning(size, metadata)
    return head + random.Random(seed).randbytes(size - len(head))


def beginning(size: int, metadata: Mapping[str, Any] = MODEL) -> bytes:
    """What stands before the weights of a model of `size` bytes with one F32 tensor."""
    block = TENSOR_TYPES[F32_TENSOR][1]
    fixed = len(header(metadata, [tensor("weight", [1])]))
    start = -(-fixed // ALIGNMENT) * ALIGNMENT
    head = header(metadata, [tensor("weight", [(size - start) // block])])
    return head + bytes(start - len(head))
