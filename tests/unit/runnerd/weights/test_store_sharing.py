"""Equal bytes on a volume, whatever each source calls the files."""

from dataclasses import replace
from pathlib import Path

from runnerd.weights.content import content_names
from runnerd.weights.store import Store
from tests.unit.runnerd.weights.store_cases import (
    ARTIFACT,
    CONTENT,
    HELD,
    OTHER,
    RENAMED,
    SOURCE,
    TWICE,
    adopted,
    escaping_manifest,
    half_manifest,
    published,
    published_twice,
    truncate,
)


def _listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_equal_bytes_are_shared_whatever_they_are_called(tmp_path: Path) -> None:
    """Found before or after a download: the files keep their names, and the second is told them."""
    first = published(tmp_path)
    kept = (first.folder / "m.gguf").stat()
    for known_before in (True, False):
        found = Store(tmp_path, "fedcba9876543210") if known_before else published_twice(tmp_path)
        assert not known_before or found.adopt(OTHER, TWICE)
        assert (found.whole(), first.whole()) == (HELD, ARTIFACT)
        assert _listed(found.folder) == ["m.gguf", "manifest.json"]
        assert (found.folder / "m.gguf").stat().st_ino == kept.st_ino
        assert found.place == first.place
        found.forget()
    assert first.whole() == ARTIFACT


def test_names_that_files_have_for_each_other_are_kept(tmp_path: Path) -> None:
    """A safetensors model under other names is another one."""
    one = replace(ARTIFACT.files[0], path="a.safetensors")
    store = Store(tmp_path, "key")
    store.partial.mkdir()
    (store.partial / one.path).write_bytes(b"12345")
    store.publish(SOURCE, replace(ARTIFACT, files=(one,)))
    other = replace(ARTIFACT, files=(replace(one, path="b.safetensors"),))
    assert not Store(tmp_path, "other").adopt(OTHER, other)


def test_damage_is_mended_under_the_names_that_are_there(tmp_path: Path) -> None:
    """By whoever pulls first, whatever that one calls the files."""
    first, second = published(tmp_path), published_twice(tmp_path)
    for store in (first, second):
        truncate(first)
        store.partial.mkdir()
        name = "twice.gguf" if store is second else "m.gguf"
        (store.partial / name).write_bytes(b"12345")
        store.publish(
            OTHER, replace(RENAMED, files=TWICE.files if store is second else ARTIFACT.files)
        )
        assert _listed(first.folder) == ["m.gguf", "manifest.json"]
        assert (first.folder / "m.gguf").read_bytes() == b"12345"
        assert second.whole() == HELD


def test_names_are_found_in_a_note_where_the_manifest_is_damaged(tmp_path: Path) -> None:
    """The first runner's file stays where that looks for it."""
    first, second = published(tmp_path), published_twice(tmp_path)
    half_manifest(first)
    published_twice(tmp_path)
    assert second.whole() == HELD
    assert first.whole() is not None
    assert _listed(first.folder) == ["m.gguf", "manifest.json"]


def test_files_of_others_stay_where_nobody_knows_their_names(tmp_path: Path) -> None:
    """Nothing but a damaged manifest: what is there may be what another runner reads."""
    first = published(tmp_path)
    half_manifest(first)
    second = published_twice(tmp_path)
    assert second.whole() == TWICE
    assert _listed(first.folder) == ["m.gguf", "manifest.json", "twice.gguf"]
    assert first.whole() is not None


def test_a_manifest_with_hostile_names_names_nothing(tmp_path: Path) -> None:
    """Files do not get names of its choice."""
    first = published(tmp_path)
    escaping_manifest(first)
    assert published(tmp_path).whole() == ARTIFACT
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == []


def test_a_content_that_is_called_as_before_is_shared(tmp_path: Path) -> None:
    """Contents had their names from names and bytes: they stay, are found, and are mended."""
    first = published(tmp_path)
    _, before = content_names(ARTIFACT.files)
    first.folder.unlink()
    (tmp_path / CONTENT).rename(tmp_path / before)
    first.folder.symlink_to(before)
    assert first.whole() == ARTIFACT
    second = adopted(tmp_path)
    assert second.place == tmp_path / before
    second.forget()
    truncate(first)
    first.partial.mkdir()
    (first.partial / "m.gguf").write_bytes(b"12345")
    first.publish(SOURCE, ARTIFACT, into=first.place)
    assert (first.whole(), first.place) == (ARTIFACT, tmp_path / before)
    assert published(tmp_path).place == tmp_path / before
