"""Which files of this machine are imported, and under which names."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from modelrunner_protocol.sources import parse_source
from modelrunner_protocol.wire import FileKind
from runnerd.weights.failure import WeightsError
from runnerd.weights.local_files import local_files

OCI = parse_source("ai/smollm2")


def _made(folder: Path, names: Sequence[str]) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(b"x" * len(name))
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("source", "names", "imported"),
    [
        ("ai/smollm2", ["Any name.gguf"], ["model.gguf"]),
        ("ai/smollm2", ["sha256-0123"], ["model.gguf"]),
        ("https://host/a/SmolLM2.gguf", ["x.gguf"], ["SmolLM2.gguf"]),
        ("https://host/m", ["m.safetensors"], ["m.safetensors"]),
        (
            "hf.co/o/n:Q8_0",
            ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-F16.gguf", "README.md"],
            ["model.gguf", "model.mmproj"],
        ),
        (
            "ai/smollm2",
            ["m-00002-of-00002.gguf", "m-00001-of-00002.gguf", "chat.jinja"],
            ["model-00001-of-00002.gguf", "model-00002-of-00002.gguf", "template.jinja"],
        ),
    ],
)
def test_names(source: str, names: list[str], imported: list[str], tmp_path: Path) -> None:
    """Those that a pull would give them; what does not belong to the model is left out."""
    paths = _made(tmp_path, names)
    found = local_files(parse_source(source), paths)
    assert [one.file.path for one in found] == imported
    assert all(one.path.stat().st_size == one.file.size_bytes for one in found)
    if len(names) > 1:
        assert local_files(parse_source(source), [tmp_path]) == found


def test_kinds(tmp_path: Path) -> None:
    """A projector and a chat template are told as such."""
    paths = _made(tmp_path, ["m.gguf", "mmproj.gguf", "t.jinja"])
    kinds = [one.file.kind for one in local_files(OCI, paths)]
    assert kinds == [FileKind.WEIGHTS, FileKind.PROJECTOR, FileKind.CHAT_TEMPLATE]


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    """Nothing, what is not there, half of a split model, two models, folders among files."""
    with pytest.raises(WeightsError, match="no file"):
        local_files(OCI, [tmp_path])
    with pytest.raises(WeightsError, match="is not a file"):
        local_files(OCI, [tmp_path / "none.gguf"])
    one, two = _made(tmp_path, ["a-00001-of-00003.gguf", "a-00002-of-00003.gguf"])
    with pytest.raises(WeightsError, match="00003-of-00003"):
        local_files(OCI, [one, two])
    with pytest.raises(WeightsError, match="is not a file"):
        local_files(OCI, [one, tmp_path])
    (tmp_path / "below").mkdir()
    with pytest.raises(WeightsError, match="same name"):
        local_files(OCI, [one, *_made(tmp_path / "below", [one.name])])
