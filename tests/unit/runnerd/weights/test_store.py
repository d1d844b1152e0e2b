"""The cache on a volume; `test_store_sharing` and `test_store_crashes` have more of it."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights.content import drop_content
from runnerd.weights.failure import WeightsError
from runnerd.weights.store import Store
from tests.unit.runnerd.weights.store_cases import (
    ARTIFACT,
    CONTENT,
    OTHER,
    RENAMED,
    SOURCE,
    adopted,
    escaping_manifest,
    half_manifest,
    published,
    truncate,
)


def test_published_artifact_is_whole(tmp_path: Path) -> None:
    """What was published is found, and nothing partial is left."""
    store = published(tmp_path)
    assert store.whole() == ARTIFACT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", CONTENT]
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]


def test_manifest_keeps_no_secret(tmp_path: Path) -> None:
    """The user and query parts of a URL do not get onto the volume."""
    text = (published(tmp_path).folder / "manifest.json").read_text()
    assert json.loads(text)["version"] == 1
    assert json.loads(text)["source"] == {"http": {"url": "https://host:8443/a/m.gguf"}}
    assert "secret" not in text
    assert "pass" not in text


def _remove(store: Store) -> None:
    (store.folder / "m.gguf").unlink()


def _link(store: Store) -> None:
    (store.folder / "m.gguf").rename(store.root / "elsewhere")
    (store.folder / "m.gguf").symlink_to(store.root / "elsewhere")


def _no_manifest(store: Store) -> None:
    (store.folder / "manifest.json").unlink()


def _newer_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text('{"version":2,"artifact":{}}')


def _deep_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text("[" * 100_000)


def _huge_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_bytes(b" " * (5 << 20))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        _remove,
        _link,
        _no_manifest,
        half_manifest,
        _newer_manifest,
        escaping_manifest,
        _deep_manifest,
        _huge_manifest,
    ],
)
def test_damaged_artifact_is_not_whole(damage: object, tmp_path: Path) -> None:
    """Anything missing or odd makes the folder one that has to be pulled again."""
    store = published(tmp_path)
    assert callable(damage)
    damage(store)
    assert store.whole() is None


def test_publish_replaces_a_damaged_folder(tmp_path: Path) -> None:
    """A folder that is not whole gives way, and nothing of it stays."""
    store = published(tmp_path)
    truncate(store)
    (store.folder / "other").mkdir()
    published(tmp_path)
    assert store.whole() == ARTIFACT
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", CONTENT]


def test_publish_removes_leftovers(tmp_path: Path) -> None:
    """Notes of the pull and whatever else lay in the partial folder are not published."""
    store = Store(tmp_path, "key")
    store.partial.mkdir()
    (store.partial / ".state.json").write_text("{}")
    (store.partial / "odd").symlink_to("/etc")
    (store.partial / "folder").mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(SOURCE, ARTIFACT)
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]
    assert Path("/etc").is_dir()


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    """A second writer is told that it is not the only one; afterwards it may."""
    first, second = Store(tmp_path, "key"), Store(tmp_path, "key")
    with first.lock() as mine:
        assert mine
        with second.lock() as also_mine:
            assert not also_mine
    with second.lock() as mine:
        assert mine


def test_lock_does_not_follow_a_link(tmp_path: Path) -> None:
    """A link in the place of the lock does not make us open another file."""
    (tmp_path / "key.lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"), Store(tmp_path, "key").lock():
        raise AssertionError
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("key", ["", "..", "a/b", "/etc", ".hidden", "A", "x" * 65])
def test_odd_key_is_refused(key: str, tmp_path: Path) -> None:
    """A key is one folder below the root and nothing else."""
    with pytest.raises(WeightsError, match="not the key"):
        Store(tmp_path, key)


def test_the_key_is_a_link(tmp_path: Path) -> None:
    """It is relative, so that it leads to the files wherever the volume is mounted."""
    (tmp_path / "volume").mkdir()
    store = published(tmp_path / "volume")
    assert store.folder.readlink() == Path(CONTENT)
    (tmp_path / "volume").rename(tmp_path / "elsewhere")
    moved = Store(tmp_path / "elsewhere", store.key)
    assert moved.whole() == ARTIFACT
    assert (moved.folder / "m.gguf").read_bytes() == b"12345"


def test_equal_bytes_are_shared(tmp_path: Path) -> None:
    """A second source gets a link, keeps what it calls the artifact, and so does the first."""
    first, second = published(tmp_path), adopted(tmp_path)
    assert second.whole() == RENAMED
    assert first.whole() == ARTIFACT
    assert second.place == first.place
    assert "other" not in (first.place / "manifest.json").read_text()


@pytest.mark.parametrize(
    "file",
    [
        WeightsFile(path="m.gguf", size_bytes=5, sha256="cd"),
        WeightsFile(path="m.gguf", size_bytes=5, sha256="ab", kind=FileKind.PROJECTOR),
        WeightsFile(path="m.gguf", size_bytes=6, sha256="ab"),
        WeightsFile(path="m.gguf", size_bytes=5),
    ],
)
def test_other_bytes_are_not_shared(file: WeightsFile, tmp_path: Path) -> None:
    """Another digest, kind or size, or a digest that nobody knows."""
    published(tmp_path)
    store = Store(tmp_path, "fedcba9876543210")
    assert not store.adopt(OTHER, replace(ARTIFACT, files=(file,)))
    assert not store.folder.is_symlink()


def test_a_content_that_is_not_whole_is_not_shared(tmp_path: Path) -> None:
    """Its files come again, and then it is whole for everybody."""
    first = published(tmp_path)
    second = adopted(tmp_path)
    truncate(first)
    assert not Store(tmp_path, "third").adopt(OTHER, ARTIFACT)
    assert (first.whole(), second.whole()) == (None, None)
    published(tmp_path)
    assert (first.whole(), second.whole()) == (ARTIFACT, RENAMED)


def test_files_go_with_their_last_key(tmp_path: Path) -> None:
    """Who forgets one key takes nothing from another; what is left belongs to that alone."""
    first, second = published(tmp_path), adopted(tmp_path)
    first.forget()
    assert second.whole() == RENAMED
    assert not first.folder.is_symlink()
    second.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_key_leaves_no_note(tmp_path: Path) -> None:
    """What a source called an artifact is not told after it was forgotten."""
    first, second = published(tmp_path), adopted(tmp_path)
    second.forget()
    assert sorted(p.name for p in first.folder.iterdir()) == ["m.gguf", "manifest.json"]


def test_a_key_that_moves_leaves_its_old_files(tmp_path: Path) -> None:
    """To another content; the old one goes, unless another key leads to it."""
    store, other = published(tmp_path), adopted(tmp_path)
    newer = replace(
        ARTIFACT, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="cd"),), etag="new"
    )
    for kept in (True, False):
        store.partial.mkdir()
        (store.partial / "m.gguf").write_bytes(b"54321")
        store.publish(SOURCE, newer)
        assert store.whole() == newer
        assert (tmp_path / CONTENT).exists() is kept
        assert (store.folder / "m.gguf").read_bytes() == b"54321"
        other.forget()
        published(tmp_path)


def test_a_folder_of_before_is_found(tmp_path: Path) -> None:
    """Caches that were filled when keys were folders stay whole, and are read where they are."""
    store = published(tmp_path)
    store.folder.unlink()
    (tmp_path / CONTENT).rename(store.folder)
    assert store.whole() == ARTIFACT
    truncate(store)
    published(tmp_path)
    assert store.folder.is_symlink()
    assert store.whole() == ARTIFACT
    assert sorted(p.name for p in tmp_path.iterdir()) == [store.key, CONTENT]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_volume_that_knows_no_links(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is a folder there, as before, and is mended as such."""

    def refused(*_: object) -> None:
        raise OSError(number, "no links")

    monkeypatch.setattr(Path, "symlink_to", refused)
    store = published(tmp_path)
    assert store.whole() == ARTIFACT
    assert [p.name for p in tmp_path.iterdir()] == [store.key]
    assert not Store(tmp_path, "other").adopt(OTHER, ARTIFACT)
    truncate(store)
    published(tmp_path)
    assert store.whole() == ARTIFACT
    store.forget()
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_lost_where_links_are_refused_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a volume on one that knows no links: the folder stays, the content is not taken."""
    store = published(tmp_path)
    content = tmp_path / CONTENT
    store.folder.unlink()
    shutil.copytree(content, store.folder)

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(Path, "symlink_to", refused)
    assert not store.adopt(OTHER, ARTIFACT)
    assert store.folder.is_dir()
    assert store.whole() == ARTIFACT


@pytest.mark.parametrize("target", ["/etc", "..", "other", f"../{CONTENT}"])
def test_a_link_that_leads_elsewhere_is_not_followed(target: str, tmp_path: Path) -> None:
    """Only a content of the same volume counts; anything else gives way."""
    store = published(tmp_path)
    (tmp_path / CONTENT).rename(tmp_path / "other")
    store.folder.unlink()
    store.folder.symlink_to(target)
    assert store.whole() is None
    published(tmp_path)
    assert store.whole() == ARTIFACT
    assert Path("/etc").is_dir()


def test_files_are_replaced_one_by_one(tmp_path: Path) -> None:
    """What is mended stays in sight: the good files of another key never vanish."""
    files = tuple(WeightsFile(path=f"{name}.gguf", size_bytes=5, sha256=name * 2) for name in "ab")
    artifact = replace(ARTIFACT, files=files, size_bytes=10)
    store = Store(tmp_path, "key")
    for names in ("ab", "b"):
        store.partial.mkdir()
        for name in names:
            (store.partial / f"{name}.gguf").write_bytes(b"12345")
        store.publish(SOURCE, artifact, into=store.place if names == "b" else None)
        kept = (store.place / "a.gguf").stat().st_ino
        assert store.whole() == artifact
        store.isolate("b.gguf")
        assert store.whole() is None
        assert (store.place / "a.gguf").stat().st_ino == kept
    store.isolate("b.gguf")
    assert (store.quarantine / "b.gguf").exists()


def test_a_content_that_is_linked_while_it_goes_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who removes it looks again once it is out of sight."""
    store = published(tmp_path)
    store.folder.unlink()
    rename = Path.rename

    def link_meanwhile(path: Path, target: Path) -> Path:
        if path.name == CONTENT and not store.folder.is_symlink():
            store.folder.symlink_to(CONTENT)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", link_meanwhile)
    assert not drop_content(tmp_path, CONTENT)
    assert store.whole() == ARTIFACT


def test_a_file_with_another_name_is_not_written_to(tmp_path: Path) -> None:
    """What a killed import left is somebody's file, too; what a pull left is its own."""
    store = Store(tmp_path, "key")
    store.disown_partial_file("m.gguf")
    store.partial.mkdir()
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"12345")
    (store.partial / "m.gguf").hardlink_to(mine)
    (store.partial / "n.gguf").write_bytes(b"123")
    for name in ("m.gguf", "n.gguf"):
        store.disown_partial_file(name)
    assert [path.name for path in store.partial.iterdir()] == ["n.gguf"]
    assert mine.read_bytes() == b"12345"
