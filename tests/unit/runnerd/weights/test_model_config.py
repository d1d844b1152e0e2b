"""What the files beside safetensors say of a model."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.attention import Attention
from runnerd.weights.bounded_json import UnreadableError
from runnerd.weights.model_config import ModelConfig, read_config, read_template
from tests.support.tensor_models import CONFIG, TEMPLATE


def _read(**changes: Any) -> ModelConfig:
    return read_config(json.dumps({**CONFIG, **changes}).encode())


def test_all_of_it() -> None:
    """SmolLM2's says the same as the header of its GGUF file."""
    assert _read() == ModelConfig(
        architecture="llama",
        type="BF16",
        context_size=8192,
        attention=Attention(embedding=576, whole=(5760, 5760)),
        vocabulary=49152,
    )


def test_a_model_that_sees() -> None:
    """What reads and writes has a section of its own; the model's name is that of the whole."""
    text = {key: value for key, value in CONFIG.items() if key != "architectures"}
    found = read_config(json.dumps({"model_type": "gemma3", "text_config": text}).encode())
    assert (found.architecture, found.context_size, found.type) == ("gemma3", 8192, "BF16")
    assert found.attention == _read().attention


@pytest.mark.parametrize(
    ("changes", "architecture"),
    [
        ({"model_type": None}, "LlamaForCausalLM"),
        ({"model_type": None, "architectures": []}, ""),
        ({"model_type": "x" * 65, "architectures": None}, ""),
        ({"model_type": "<script>", "architectures": [7]}, ""),
    ],
)
def test_architecture(changes: dict[str, Any], architecture: str) -> None:
    """The family's name, else the class; nothing that is no name."""
    assert _read(**changes).architecture == architecture


@pytest.mark.parametrize(
    ("quantized", "found"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq-4bit"),
        ({"quant_method": "GPTQ", "bits": 8}, "gptq-8bit"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes-4bit"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes-8bit"),
        ({"quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "awq", "bits": 1 << 80}, "awq"),
        ({"quant_method": "a b"}, ""),
        ({"quant_method": {}}, ""),
        ("awq", ""),
    ],
)
def test_quantization(quantized: object, found: str) -> None:
    """The method, with its bits where they are told."""
    assert _read(quantization_config=quantized).quantization == found


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"max_position_embeddings": None, "n_positions": 1024}, 1024),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": 1 << 40}, None),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": "8192"}, None),
    ],
)
def test_context(changes: dict[str, Any], context: int | None) -> None:
    """A number that can be right, under any of its names."""
    assert _read(**changes).context_size == context


@pytest.mark.parametrize(
    ("changes", "attention"),
    [
        ({"head_dim": 32}, Attention(embedding=576, whole=(2880, 2880))),
        ({"num_key_value_heads": None}, Attention(embedding=576, whole=(17280, 17280))),
        (
            {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
            Attention(embedding=576, whole=(30 * 576, 0)),
        ),
        (
            {
                "layer_types": ["sliding_attention", "full_attention", "linear_attention"] * 10,
                "sliding_window": 512,
            },
            Attention(embedding=576, whole=(1920, 1920), recent=(1920, 1920), window=512),
        ),
        (
            {"sliding_window_pattern": 6, "sliding_window": 512},
            Attention(embedding=576, whole=(960, 960), recent=(4800, 4800), window=512),
        ),
        ({"num_hidden_layers": 0}, None),
        ({"num_hidden_layers": 1 << 30}, None),
        ({"hidden_size": None}, None),
    ],
)
def test_attention(changes: dict[str, Any], attention: Attention | None) -> None:
    """What layers keep of a token, also where some look at the newest tokens only, or at none."""
    assert _read(**changes).attention == attention


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a":' * 50_000, b'{"a":1,"a":2}'])
def test_what_is_no_config(data: bytes) -> None:
    """It is told, and nothing is guessed."""
    with pytest.raises(UnreadableError):
        read_config(data)


@given(
    st.dictionaries(
        st.sampled_from([*CONFIG, "text_config", "layer_types", "quantization_config"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_values_are_read(values: dict[str, Any]) -> None:
    """Whatever stands there, it is a config that says something or nothing."""
    read_config(json.dumps(values).encode())


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, ""),
        ({"chat_template.jinja": b"a", "tokenizer_config.json": b'{"chat_template":"b"}'}, "a"),
        ({"chat_template.json": json.dumps({"chat_template": TEMPLATE}).encode()}, TEMPLATE),
        ({"tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode()}, TEMPLATE),
        (
            {
                "tokenizer_config.json": json.dumps(
                    {"chat_template": [{"name": "default", "template": "a"}, {"template": "b"}, 7]}
                ).encode()
            },
            "a\nb",
        ),
        ({"tokenizer_config.json": b'{"chat_template":7}'}, ""),
        ({"tokenizer_config.json": b"["}, ""),
        ({"chat_template.jinja": b"\xff"}, "\ufffd"),
    ],
)
def test_template(files: dict[str, bytes], found: str) -> None:
    """In a file of its own, or in the tokenizer's settings; a broken one is none."""
    assert read_template(files) == found
