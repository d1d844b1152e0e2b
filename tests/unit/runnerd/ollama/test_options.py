"""Ollama's options."""

from typing import Any

import pytest

from runnerd.ollama.members import AskedWronglyError
from runnerd.ollama.options import sampling, wanted_context


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"min_p": 0.1, "typical_p": 0.7}, {"min_p": 0.1, "typical_p": 0.7}),
        ({"top_k": 20.0, "seed": -1}, {"top_k": 20, "seed": -1}),
        ({"num_predict": 5}, {"max_tokens": 5}),
        ({"num_predict": -1}, {}),
        ({"num_predict": -2}, {}),
        ({"num_predict": 0}, {}),
        ({"num_keep": 3}, {"n_keep": 3}),
        ({"num_ctx": 4096}, {}),
        (
            {"repeat_penalty": 1.1, "repeat_last_n": 64},
            {"repeat_penalty": 1.1, "repeat_last_n": 64},
        ),
        ({"repeat_last_n": -1}, {"repeat_last_n": 2048}),
        (
            {"presence_penalty": 1, "frequency_penalty": 2},
            {"presence_penalty": 1, "frequency_penalty": 2},
        ),
        (
            {"mirostat": 1, "mirostat_tau": 0.8, "mirostat_eta": 0.6},
            {"mirostat": 1, "mirostat_tau": 0.8, "mirostat_eta": 0.6},
        ),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"stop": []}, {}),
        ({"temperature": None, "stop": None}, {}),
        ({"num_gpu": 1, "num_thread": "x", "penalize_newline": True, "nonsense": {}}, {}),
    ],
    ids=range(19),
)
def test_options(options: dict[str, Any], told: dict[str, Any]) -> None:
    """Each has the engine's name; what says how to load a model is not the client's to say."""
    assert sampling(options, context=2048) == told


def test_repetition_over_the_whole_context() -> None:
    """Where nobody knows its size nothing is said."""
    assert sampling({"repeat_last_n": -1}, context=None) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"temperature": True}, "float32"),
        ({"top_k": "x"}, 'option "top_k" must be of type integer'),
        ({"seed": 1 << 70}, "out of range"),
        ({"top_p": float("inf")}, "float32"),
        ({"stop": 3}, 'option "stop" must be of type array'),
        ({"stop": [3]}, "an array of strings"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    """In Ollama's own words."""
    with pytest.raises(AskedWronglyError, match=words):
        sampling(options, context=None)


def test_wanted_context() -> None:
    """It is told apart, since it is no matter of sampling."""
    assert wanted_context({"num_ctx": 4096.0}) == 4096
    assert wanted_context({}) is None
    with pytest.raises(AskedWronglyError, match="num_ctx"):
        wanted_context({"num_ctx": "big"})
