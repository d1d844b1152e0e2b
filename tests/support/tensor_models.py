"""Builds small safetensors models for tests, right ones and wrong ones."""

import json
import random
import struct
from collections.abc import Mapping
from typing import Any, Final

CONFIG: Final[Mapping[str, Any]] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "vocab_size": 49152,
    "torch_dtype": "bfloat16",
}
"""That of SmolLM2-135M, as far as it is read."""

TEMPLATE: Final = "{% if tools %}{{ tools }}{% endif %}{{ messages }}"


def framed(header: bytes, data: bytes = b"") -> bytes:
    """A header of that text, with its length before it, and data behind it."""
    return struct.pack("<Q", len(header)) + header + data


def tensors(shapes: Mapping[str, tuple[str, list[int]]] | None = None, *, seed: int = 1) -> bytes:
    """A whole file with tensors of (type, shape); types of 16 and 32 bits."""
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (kind, shape) in (shapes or {"w": ("BF16", [64, 512])}).items():
        size = 4 if kind.endswith("32") else 2
        for length in shape:
            size *= length
        found[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return framed(json.dumps(found).encode(), random.Random(seed).randbytes(at))


def model_files(shards: int = 1, config: Mapping[str, Any] = CONFIG) -> dict[str, bytes]:
    """The files of a repository with a model, and some that nobody needs, by path."""
    names = [f"model-{at + 1:05d}-of-{shards:05d}.safetensors" for at in range(shards)]
    found = {
        name: tensors({f"w{at}": ("BF16", [64, 512])}, seed=at)
        for at, name in enumerate(names if shards > 1 else ["model.safetensors"])
    }
    if shards > 1:
        weight_map = {f"w{at}": name for at, name in enumerate(names)}
        index = {"metadata": {"total_size": 65536 * shards}, "weight_map": weight_map}
        found["model.safetensors.index.json"] = json.dumps(index).encode()
    return found | {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b'{"version":"1.0"}',
        "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
        "README.md": b"# A model",
        "modeling_custom.py": b"raise SystemExit",
        "pytorch_model.bin": b"\x80\x02pickle",
        ".gitattributes": b"",
        "onnx/model.onnx": b"onnx",
    }


NEEDED: Final = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Of `model_files` those that lie beside the weights and are needed."""
