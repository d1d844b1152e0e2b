"""Which embedding models get the mean."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.engines.pooling import pooling_flags
from tests.support.gguf_files import MODEL, header
from tests.support.scripted_runner import CONFIG

MEAN = ("--pooling", "mean")


@pytest.fixture
def chat_model(tmp_path: Path) -> RunConfig:
    """A model that says nothing of pooling, started for embeddings."""
    return _with(tmp_path, {})


def _with(folder: Path, more: dict[str, object]) -> RunConfig:
    weights = folder / "model.gguf"
    weights.write_bytes(header({**MODEL, **more}) + bytes(64))
    return replace(CONFIG, weights=str(weights), mode=Mode.EMBEDDING)


def test_chat_model(chat_model: RunConfig) -> None:
    """A chat model in embedding mode gets the mean; in its own mode its file is not read."""
    assert pooling_flags(chat_model, (), {}) == MEAN
    nowhere = replace(chat_model, mode=Mode.COMPLETION, weights="/nothing")
    assert pooling_flags(nowhere, (), {}) == ()


@pytest.mark.parametrize(("kind", "flags"), [(0, MEAN), (1, ()), (2, ()), (3, ()), (4, ())])
def test_own_pooling(tmp_path: Path, kind: int, flags: tuple[str, ...]) -> None:
    """A model made for embeddings keeps its own pooling; 0 is none."""
    assert pooling_flags(_with(tmp_path, {"llama.pooling_type": kind}), (), {}) == flags


def test_pooling_of_another_architecture(tmp_path: Path) -> None:
    """Only the key of the model's own architecture counts."""
    assert pooling_flags(_with(tmp_path, {"bert.pooling_type": 2}), (), {}) == MEAN


@pytest.mark.parametrize("flags", [("--pooling", "last"), ("--pooling=cls",)])
def test_chosen(chat_model: RunConfig, flags: tuple[str, ...]) -> None:
    """A user's choice, in the flags, in LLAMA_ARGS or in the environment, is left alone."""
    assert pooling_flags(replace(chat_model, runtime_flags=flags), (), {}) == ()
    assert pooling_flags(chat_model, flags, {}) == ()
    assert pooling_flags(chat_model, (), {"LLAMA_ARG_POOLING": "last"}) == ()


@pytest.mark.parametrize("content", [b"", b"no model", header(MODEL)[:50]])
def test_bad_file(chat_model: RunConfig, content: bytes) -> None:
    """A file that cannot be read is for the engine to complain of."""
    Path(chat_model.weights).write_bytes(content)
    assert pooling_flags(chat_model, (), {}) == ()
    assert pooling_flags(replace(chat_model, weights="/nothing"), (), {}) == ()
