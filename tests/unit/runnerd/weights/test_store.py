"""The cache on a volume."""

import json
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Artifact, HttpSource, Source, WeightsFile
from runnerd.weights.content import content_name
from runnerd.weights.failure import WeightsError
from runnerd.weights.names import safe_name
from runnerd.weights.store import Store

_SOURCE = Source(http=HttpSource(url="https://user:pass@host:8443/a/m.gguf?token=secret#f"))
_ARTIFACT = Artifact(
    format="gguf", size_bytes=5, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="ab"),)
)
_CONTENT = content_name(_ARTIFACT.files)


def _published(root: Path) -> Store:
    store = Store(root, "0123456789abcdef")
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(_SOURCE, _ARTIFACT)
    return store


def test_published_artifact_is_whole(tmp_path: Path) -> None:
    """What was published is found, and nothing partial is left."""
    store = _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", _CONTENT]
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]


def test_manifest_keeps_no_secret(tmp_path: Path) -> None:
    """The user and query parts of a URL do not get onto the volume."""
    text = (_published(tmp_path).folder / "manifest.json").read_text()
    assert json.loads(text)["version"] == 1
    assert json.loads(text)["source"] == {"http": {"url": "https://host:8443/a/m.gguf"}}
    assert "secret" not in text
    assert "pass" not in text


def _truncate(store: Store) -> None:
    (store.folder / "m.gguf").write_bytes(b"1234")


def _remove(store: Store) -> None:
    (store.folder / "m.gguf").unlink()


def _link(store: Store) -> None:
    (store.folder / "m.gguf").rename(store.root / "elsewhere")
    (store.folder / "m.gguf").symlink_to(store.root / "elsewhere")


def _no_manifest(store: Store) -> None:
    (store.folder / "manifest.json").unlink()


def _half_manifest(store: Store) -> None:
    path = store.folder / "manifest.json"
    path.write_text(path.read_text()[:50])


def _newer_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text('{"version":2,"artifact":{}}')


def _escaping_manifest(store: Store) -> None:
    path = store.folder / "manifest.json"
    path.write_text(path.read_text().replace('"m.gguf"', '"../m.gguf"'))


def _deep_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text("[" * 100_000)


def _huge_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_bytes(b" " * (5 << 20))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _remove,
        _link,
        _no_manifest,
        _half_manifest,
        _newer_manifest,
        _escaping_manifest,
        _deep_manifest,
        _huge_manifest,
    ],
)
def test_damaged_artifact_is_not_whole(damage: object, tmp_path: Path) -> None:
    """Anything missing or odd makes the folder one that has to be pulled again."""
    store = _published(tmp_path)
    assert callable(damage)
    damage(store)
    assert store.whole() is None


def test_publish_replaces_a_damaged_folder(tmp_path: Path) -> None:
    """A folder that is not whole gives way, and nothing of it stays."""
    store = _published(tmp_path)
    _truncate(store)
    (store.folder / "other").mkdir()
    _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", _CONTENT]


def test_publish_removes_leftovers(tmp_path: Path) -> None:
    """Notes of the pull and whatever else lay in the partial folder are not published."""
    store = Store(tmp_path, "key")
    store.partial.mkdir()
    (store.partial / ".state.json").write_text("{}")
    (store.partial / "odd").symlink_to("/etc")
    (store.partial / "folder").mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(_SOURCE, _ARTIFACT)
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


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".x", "manifest.json", "a\n", "é"])
def test_odd_file_name_is_refused(name: str) -> None:
    """A weights file lies in the artifact's folder and is not one of our own files."""
    with pytest.raises(WeightsError):
        safe_name(name)
