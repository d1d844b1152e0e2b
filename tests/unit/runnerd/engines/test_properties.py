"""What an engine says of itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.engines.properties import UNKNOWN, Properties, properties_of


def test_llama_server() -> None:
    """As b10434 says it."""
    found = properties_of(
        json.dumps(
            {
                "total_slots": 4,
                "default_generation_settings": {"n_ctx": 1024},
                "modalities": {"vision": True, "audio": False},
                "chat_template": "{% if enable_thinking %}",
                "chat_template_caps": {"supports_tools": False},
            }
        ).encode()
    )
    assert found == Properties(
        slots=4, context=1024, tools=False, vision=True, template="{% if enable_thinking %}"
    )
    assert found.thinking
    assert found.capabilities == ("thinking", "vision")


@pytest.mark.parametrize(
    ("template", "thinking"),
    [
        ("", None),
        ("{{ messages }}", False),
        ("{{ '<think>' }}", True),
        ("{{ message.reasoning_content }}", True),
        ("{{ reasoning_effort }}", True),
    ],
)
def test_thinking(template: str, thinking: bool | None) -> None:
    """A template that knows of it names one of a few things; without a template nobody knows."""
    assert Properties(template=template).thinking is thinking


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"total_slots": true, "chat_template": 3}',
        b'{"modalities": []}',
    ],
    ids=range(6),
)
def test_an_engine_that_says_nothing(raw: bytes) -> None:
    """Nothing is known, and nothing fails."""
    assert properties_of(raw) == UNKNOWN
    assert UNKNOWN.capabilities == ()


@given(st.binary(max_size=40))
def test_any_bytes(raw: bytes) -> None:
    """Nothing fails."""
    assert isinstance(properties_of(raw), Properties)
