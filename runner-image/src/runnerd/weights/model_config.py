"""What the files beside safetensors say of a model: `config.json` and the chat template. Pure.

Source: transformers `configuration_utils.py` and the configurations of its models; the names of
the context's length are those of llama.cpp's `convert_hf_to_gguf.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runnerd.weights.attention import MOST_LAYERS, Attention
from runnerd.weights.bounded_json import UnreadableError, read_object

CONFIG: Final = "config.json"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
TEMPLATE: Final = "chat_template.jinja"
TEMPLATE_JSON: Final = "chat_template.json"

LIMITS: Final = {
    CONFIG: 4 << 20,
    TOKENIZER_CONFIG: 16 << 20,
    TEMPLATE: 1 << 20,
    TEMPLATE_JSON: 4 << 20,
}
"""The files that are read, and of how many bytes at most."""

_CONTEXT: Final = (
    "max_position_embeddings",
    "n_ctx",
    "n_positions",
    "seq_length",
    "max_sequence_length",
    "model_max_length",
)
_LAYERS: Final = ("num_hidden_layers", "n_layer", "num_layers")
_EMBEDDING: Final = ("hidden_size", "n_embd", "d_model")
_HEADS: Final = ("num_attention_heads", "n_head", "num_heads")
_TYPES: Final = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LARGEST: Final = 1 << 31
_NEAR: Final = frozenset({"sliding_attention", "chunked_attention"})
_FAR: Final = "full_attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What `config.json` says; "", None or 0 for what it does not say.

    Attributes:
        architecture: `model_type` ("llama"), which is GGUF's word for it, too; else the class.
        quantization: How the weights were made smaller ("awq-4bit", "fp8").
        type: That of the weights ("BF16"), where nothing was done to them.
        context_size: The longest context the model was trained for, in tokens.
        attention: What its layers keep of each token; None when nobody can tell.
        vocabulary: How many tokens it knows.
    """

    architecture: str = ""
    quantization: str = ""
    type: str = ""
    context_size: int | None = None
    attention: Attention | None = None
    vocabulary: int = 0


def read_config(data: bytes) -> ModelConfig:
    """Read a `config.json`.

    Raises:
        UnreadableError: it is no JSON object.
    """
    found = read_object(data)
    # Of a model that sees or hears, the part that reads and writes has a section of its own.
    inner: dict[str, Any] = next(
        (
            found[name]
            for name in ("text_config", "llm_config")
            if isinstance(found.get(name), dict)
        ),
        {},
    )
    text = {**found, **{key: value for key, value in inner.items() if value is not None}}
    quantized = found.get("quantization_config", inner.get("quantization_config"))
    return ModelConfig(
        architecture=_architecture(found),
        quantization=_quantization(quantized if isinstance(quantized, dict) else {}),
        type=_TYPES.get(str(text.get("torch_dtype") or text.get("dtype")), ""),
        context_size=_number(text, *_CONTEXT) or None,
        attention=_attention(text),
        vocabulary=_number(text, "vocab_size"),
    )


def read_template(files: Mapping[str, bytes]) -> str:
    """The chat template of a model, by the names of its files; "" where there is none.

    Whatever is wrong with a file, it tells no template: a model answers without one.
    """
    if TEMPLATE in files:
        return files[TEMPLATE].decode("utf-8", "replace")
    for name in (TEMPLATE_JSON, TOKENIZER_CONFIG):
        try:
            told = read_object(files.get(name, b"")).get("chat_template")
        except UnreadableError:
            continue
        if isinstance(told, str):
            return told
        if isinstance(told, list):
            # One for each use: talk, tools, documents.
            return "\n".join(str(one.get("template", "")) for one in told if isinstance(one, dict))
    return ""


def _architecture(found: Mapping[str, Any]) -> str:
    classes = found.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else ""
    for told in (found.get("model_type"), first):
        if isinstance(told, str) and _WORD.fullmatch(told):
            return told
    return ""


def _quantization(found: Mapping[str, Any]) -> str:
    method = found.get("quant_method") or found.get("quant_algo")
    if not isinstance(method, str) or not _WORD.fullmatch(method):
        return ""
    bits = found.get("bits")
    if found.get("load_in_4bit") is True:
        bits = 4
    elif found.get("load_in_8bit") is True:
        bits = 8
    known = type(bits) is int and 0 < bits <= 16
    return f"{method.lower()}-{bits}bit" if known else method.lower()


def _attention(text: Mapping[str, Any]) -> Attention | None:
    layers, embedding = _number(text, *_LAYERS), _number(text, *_EMBEDDING)
    heads = _number(text, *_HEADS)
    if not 0 < layers <= MOST_LAYERS or not embedding or not heads:
        return None
    kept = _kept(text, embedding, heads)
    near, far = _looking(text, layers)
    window = _number(text, "sliding_window", "attention_chunk_size")
    return Attention(
        embedding=embedding,
        whole=(far * kept[0], far * kept[1]),
        recent=(near * kept[0], near * kept[1]),
        window=window,
    )


def _kept(text: Mapping[str, Any], embedding: int, heads: int) -> tuple[int, int]:
    """Values of keys and of values that one layer keeps of a token."""
    if latent := _number(text, "kv_lora_rank"):
        # Both are made of one short vector, when they are needed.
        return latent + _number(text, "qk_rope_head_dim"), 0
    length = _number(text, "head_dim") or embedding // heads
    kept = (_number(text, "num_key_value_heads") or heads) * length
    return kept, kept


def _looking(text: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """How many layers look at the newest tokens only, and how many at all."""
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and len(kinds) >= layers:
        told = kinds[:layers]
        return sum(kind in _NEAR for kind in told if isinstance(kind, str)), told.count(_FAR)
    period = _number(text, "sliding_window_pattern")
    if period and _number(text, "sliding_window"):
        return layers - layers // period, layers // period
    return 0, layers


def _number(found: Mapping[str, Any], *names: str) -> int:
    """The first of them that is a number from 1 on; 0 for none."""
    for name in names:
        value = found.get(name)
        if type(value) is int and 0 < value < _LARGEST:
            return value
    return 0
