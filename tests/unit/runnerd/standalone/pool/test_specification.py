"""What an engine is to be."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner_protocol.configure import Configuration, Speculative
from modelrunner_protocol.wire import Artifact, Draft, FileKind, Mode, WeightsFile
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool.specification import Specifications
from tests.support.gguf_files import MODEL, model
from tests.support.scripted_served import MEBIBYTE, stored

LAYERS = {
    **MODEL,
    "llama.context_length": 131072,
    "llama.block_count": 16,
    "llama.embedding_length": 1024,
    "llama.attention.head_count": 16,
    "llama.attention.head_count_kv": 4,
}
"""16 KiB are kept of each token."""


def _stored(folder: Path, letter: str = "a") -> Stored:
    data = model(1 << 16, LAYERS)
    (folder / "m.gguf").write_bytes(data)
    return replace(
        stored(letter),
        folder=folder,
        artifact=Artifact(
            format="gguf",
            size_bytes=len(data),
            files=(
                WeightsFile(path="m.gguf", size_bytes=len(data)),
                WeightsFile(path="p.gguf", size_bytes=0, kind=FileKind.PROJECTOR),
                WeightsFile(path="t.jinja", size_bytes=0, kind=FileKind.CHAT_TEMPLATE),
            ),
        ),
    )


def _specifications(
    budget: int | None = None, *, llama_args: str | None = None, drafting: Stored | None = None
) -> Specifications:
    return Specifications(
        budget=budget,
        startup_timeout=7.0,
        llama_args=llama_args,
        find=lambda name: drafting if name == "small" else None,
        environment={},
    )


async def test_from_a_configuration(tmp_path: Path) -> None:
    """Files, names, flags and times of an engine are those of the model and its configuration."""
    said = Configuration(context_size=512, runtime_flags=("--temp", "1"), reasoning_budget=0)
    found = await _specifications().make(_stored(tmp_path), Mode.EMBEDDING, said, name="whatever")
    config = found.config
    assert (config.model, config.mode, config.engine) == (
        "ai/a:latest",
        Mode.EMBEDDING,
        "llama.cpp",
    )
    assert config.weights == str(tmp_path / "m.gguf")
    assert config.projector == str(tmp_path / "p.gguf")
    assert config.chat_template == str(tmp_path / "t.jinja")
    assert (config.context_size, config.runtime_flags) == (512, ("--temp", "1"))
    assert (config.reasoning_budget, config.startup_timeout) == (0, 7.0)
    assert (found.name, found.needs.context, found.needs.cache) == ("whatever", 512, 8 * MEBIBYTE)


async def test_without_a_tag(tmp_path: Path) -> None:
    """A model that nobody named goes by the beginning of its identity."""
    untagged = replace(_stored(tmp_path), tags=())
    found = await _specifications().make(untagged, Mode.COMPLETION, Configuration(), name="x")
    assert found.config.model == "a" * 12


async def test_a_context_that_nobody_asked_for(tmp_path: Path) -> None:
    """It is what the model was trained for, or what the memory allows; then the engine is told."""
    one = _stored(tmp_path)
    usual = await _specifications().make(one, Mode.COMPLETION, Configuration(), name="x")
    assert (usual.config.context_size, usual.needs.context) == (None, 131072)
    assert usual.needs.cache == 2048 * MEBIBYTE
    budget = 512 * MEBIBYTE
    small = await _specifications(budget).make(one, Mode.COMPLETION, Configuration(), name="x")
    assert small.config.context_size == small.needs.context
    assert 4096 < small.needs.context < 131072
    assert small.needs.total <= budget
    asked = Configuration(context_size=-1)
    whole = await _specifications().make(one, Mode.COMPLETION, asked, name="x")
    assert (whole.config.context_size, whole.needs.context) == (-1, 131072)
    with pytest.raises(RefusedError, match="KV cache at 131072 tokens"):
        await _specifications(budget).make(one, Mode.COMPLETION, asked, name="x")
    args = _specifications(budget, llama_args="-c 8192 -ctk q8_0")
    assert (await args.make(one, Mode.COMPLETION, Configuration(), name="x")).needs.context == 8192


async def test_a_draft_model(tmp_path: Path) -> None:
    """Its file is told and its memory counted; one that is not there is refused."""
    (tmp_path / "big").mkdir()
    (tmp_path / "small").mkdir()
    one, small = _stored(tmp_path / "big"), _stored(tmp_path / "small", "b")
    specifications = _specifications(drafting=small)
    said = Configuration(
        context_size=512,
        speculative=Speculative(draft_model="small", num_tokens=4, min_acceptance_rate=0.5),
    )
    found = await specifications.make(one, Mode.COMPLETION, said, name="x")
    assert found.config.draft == Draft(
        weights=str(tmp_path / "small" / "m.gguf"), max_tokens=4, min_probability=0.5
    )
    assert found.needs.cache == 16 * MEBIBYTE
    with pytest.raises(RefusedError) as refused:
        await specifications.make(
            one,
            Mode.COMPLETION,
            Configuration(speculative=Speculative(draft_model="other")),
            name="x",
        )
    assert refused.value.found.status == 404


async def test_a_file_that_comes_later(tmp_path: Path) -> None:
    """A header that could not be read is tried again; one that was read is remembered."""
    specifications = _specifications()
    later = replace(stored("a"), folder=tmp_path)
    found = await specifications.make(later, Mode.COMPLETION, Configuration(), name="x")
    assert found.needs.cache == 0
    (tmp_path / "m.gguf").write_bytes(model(1 << 16, LAYERS))
    found = await specifications.make(later, Mode.COMPLETION, Configuration(), name="x")
    assert found.needs.cache > 0
    (tmp_path / "m.gguf").unlink()
    again = await specifications.make(later, Mode.COMPLETION, Configuration(), name="x")
    assert again.needs == found.needs
    specifications.forget(later.identity)
    found = await specifications.make(later, Mode.COMPLETION, Configuration(), name="x")
    assert found.needs.cache == 0
