"""Weights on a volume that somebody else filled."""

from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, ClaimSource, FileKind
from runnerd.weights.claim import resolve_claim
from runnerd.weights.failure import WeightsError
from tests.support.gguf_files import MODEL, header, model
from tests.support.tensor_models import NEEDED, model_files, tensors


async def _resolve(root: Path, path: str) -> Artifact:
    return await resolve_claim(ClaimSource(claim="weights", path=path), root)


async def _failure(root: Path, path: str) -> WeightsError:
    with pytest.raises(WeightsError) as failure:
        await _resolve(root, path)
    return failure.value


async def test_file_is_used_in_place(tmp_path: Path) -> None:
    """Size and metadata are told, and the path stays as the user wrote it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "m.gguf").write_bytes(model(4096))
    artifact = await _resolve(tmp_path, "a/m.gguf")
    assert (artifact.size_bytes, artifact.architecture, artifact.digest) == (4096, "llama", "")
    assert [(f.path, f.size_bytes) for f in artifact.files] == [("a/m.gguf", 4096)]


async def test_link_within_the_volume_is_followed(tmp_path: Path) -> None:
    """A hub's cache is full of links to files on the same volume."""
    (tmp_path / "blob").write_bytes(model(4096))
    (tmp_path / "m.gguf").symlink_to("blob")
    assert (await _resolve(tmp_path, "m.gguf")).size_bytes == 4096


async def test_link_out_of_the_volume_is_refused(tmp_path: Path) -> None:
    """A link does not make a runner read what is not on the volume."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "outside.gguf").write_bytes(model(4096))
    (tmp_path / "volume" / "m.gguf").symlink_to("../outside.gguf")
    (tmp_path / "volume" / "d").symlink_to(tmp_path)
    assert "leads out of the volume" in str(await _failure(tmp_path / "volume", "m.gguf"))
    assert "leads out of the volume" in str(await _failure(tmp_path / "volume", "d/outside.gguf"))


@pytest.mark.parametrize("path", ["", "/m.gguf", "../m.gguf", "a/../../m.gguf", "a\0b"])
async def test_path_out_of_the_volume_is_refused(path: str, tmp_path: Path) -> None:
    """Only relative paths without '..' lead into a volume."""
    assert "does not lead into the volume" in str(await _failure(tmp_path, path))


async def test_missing_file_tells_what_is_there(tmp_path: Path) -> None:
    """Who mistypes a name sees the names that there are, models first, and not too many."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "right.gguf").write_bytes(b"")
    for i in range(30):
        (tmp_path / "models" / f"a{i:02d}.txt").write_bytes(b"")
    failure = await _failure(tmp_path, "models/deeper/wrong.gguf")
    assert (failure.reason, failure.retryable) == (Reason.PULL_FAILED, False)
    assert "models holds right.gguf, a00.txt" in str(failure)
    assert str(failure).endswith("a08.txt, …")


async def test_missing_file_on_an_empty_volume(tmp_path: Path) -> None:
    """An empty volume is told as such: perhaps it is the wrong claim."""
    expected = "there is no m.gguf on the PersistentVolumeClaim weights; the volume's root is empty"
    assert str(await _failure(tmp_path, "m.gguf")) == expected


async def test_hint_does_not_list_other_places(tmp_path: Path) -> None:
    """A link out of the volume does not make the hint list the place it leads to."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"")
    (tmp_path / "volume" / "d").symlink_to(tmp_path / "secret")
    assert "key" not in str(await _failure(tmp_path / "volume", "d/m.gguf"))


async def test_folder_is_not_a_file(tmp_path: Path) -> None:
    """A folder is told with what it holds."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "m.gguf").write_bytes(b"")
    assert "is not a file; a holds m.gguf" in str(await _failure(tmp_path, "a"))


async def test_loop_of_links_is_refused(tmp_path: Path) -> None:
    """Links that lead in a circle end in words."""
    (tmp_path / "m.gguf").symlink_to("m.gguf")
    assert "m.gguf" in str(await _failure(tmp_path, "m.gguf"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"<html>", "HTML"), (model(4096)[:4000], "cut short")],
)
async def test_what_is_no_model(content: bytes, says: str, tmp_path: Path) -> None:
    """A file that is no model is told by what it looks like."""
    (tmp_path / "m.gguf").write_bytes(content)
    failure = await _failure(tmp_path, "m.gguf")
    assert failure.reason is Reason.UNSUPPORTED_FORMAT
    assert says in str(failure)


async def test_split_model_is_all_of_its_parts(tmp_path: Path) -> None:
    """The engine finds the other parts beside the first, so all have to be there."""
    for i in (1, 2):
        (tmp_path / f"m-0000{i}-of-00002.gguf").write_bytes(model(4096, seed=i))
    artifact = await _resolve(tmp_path, "m-00001-of-00002.gguf")
    assert [f.path for f in artifact.files] == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert artifact.size_bytes == 8192


async def test_split_model_with_a_part_missing(tmp_path: Path) -> None:
    """Missing parts are named."""
    (tmp_path / "m-00001-of-00003.gguf").write_bytes(model(4096))
    says = "2 of its 3 parts are missing: m-00002-of-00003.gguf, m-00003-of-00003.gguf"
    assert says in str(await _failure(tmp_path, "m-00001-of-00003.gguf"))


async def test_split_model_is_named_by_its_first_part(tmp_path: Path) -> None:
    """The engine has to be given the first part."""
    (tmp_path / "m-00002-of-00003.gguf").write_bytes(model(4096))
    assert "name the first, m-00001-of-00003.gguf" in str(
        await _failure(tmp_path, "m-00002-of-00003.gguf")
    )


async def test_renamed_part_is_refused(tmp_path: Path) -> None:
    """A part whose name does not tell the others cannot be loaded."""
    (tmp_path / "m.gguf").write_bytes(header({**MODEL, "split.count": 2}))
    assert "its name does not tell the others" in str(await _failure(tmp_path, "m.gguf"))


def _put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if "/" not in name:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("path", ["a/m", "a/m/", "a/m/model-00002-of-00002.safetensors"])
async def test_a_folder_with_safetensors(path: str, tmp_path: Path) -> None:
    """It is one model, whether it is named or one of its shards."""
    _put(tmp_path / "a" / "m", model_files(2))
    found = await _resolve(tmp_path, path)
    assert (found.format, found.architecture, found.parameters) == (
        "safetensors",
        "llama",
        "65.54 K",
    )
    weights = [file.path for file in found.files if file.kind is FileKind.WEIGHTS]
    assert weights == [f"a/m/model-{at:05d}-of-00002.safetensors" for at in (1, 2)]
    assert {file.path for file in found.files} - {*weights} == {
        "a/m/model.safetensors.index.json",
        *(f"a/m/{name}" for name in NEEDED),
    }


async def test_a_safetensors_file_with_what_lies_beside_it(tmp_path: Path) -> None:
    """The volume's own root is a folder, too; another model in it is left alone."""
    _put(tmp_path, model_files() | {"other.safetensors": tensors(seed=3)})
    for name in ("model.safetensors", "other.safetensors"):
        found = await _resolve(tmp_path, name)
        assert (found.files[0].path, found.context_size) == (name, 8192)
        assert sum(file.kind is FileKind.WEIGHTS for file in found.files) == 1


async def test_a_folder_with_both_formats_names_its_gguf_files(tmp_path: Path) -> None:
    """Which of them is meant is not ours to guess."""
    _put(tmp_path / "m", {"a.gguf": model(4096), "model.safetensors": tensors()})
    assert "is not a file; m holds a.gguf" in str(await _failure(tmp_path, "m"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
async def test_a_folder_whose_files_lead_out(name: str, tmp_path: Path) -> None:
    """A link in the folder does not lead off the volume; one to elsewhere on it is followed."""
    files = {"model.safetensors": tensors(), "config.json": b"{}"}
    _put(tmp_path / "volume" / "m", files)
    for place, says in (("volume/blob", ""), ("outside", f"{name} of")):
        (tmp_path / place).write_bytes(files[name])
        (tmp_path / "volume" / "m" / name).unlink()
        (tmp_path / "volume" / "m" / name).symlink_to(tmp_path / place)
        if says:
            assert "is a link that leads out" in str(await _failure(tmp_path / "volume", "m"))
        else:
            assert (await _resolve(tmp_path / "volume", "m")).format == "safetensors"
