"""What is good in a folder that is not whole."""

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.wire import Artifact, FileKind, HttpSource, Source, WeightsFile
from runnerd.weights.store import Store
from runnerd.weights.verify import Finding, good_files, set_apart, stores, verify

CONTENT = {"a.gguf": b"aaaaa", "b.gguf": b"bbbbb"}
FILES = tuple(
    WeightsFile(path=name, size_bytes=5, sha256=sha256(text).hexdigest(), etag=f'"{name}"')
    for name, text in CONTENT.items()
)
ARTIFACT = Artifact(format="gguf", size_bytes=10, files=FILES)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An artifact of two files, of which the second is damaged."""
    found = Store(tmp_path, "key")
    found.partial.mkdir()
    for name, text in CONTENT.items():
        (found.partial / name).write_bytes(text)
    found.publish(Source(http=HttpSource(url="https://h/m")), ARTIFACT)
    (found.folder / "b.gguf").write_bytes(b"BBBBB")
    return found


def test_the_good_files_are_kept(store: Store) -> None:
    """Those that have the sha256 they should have."""
    kept = good_files(store, FILES)
    assert kept is not None
    assert (kept.names, kept.place, kept.files) == (frozenset({"a.gguf"}), store.place, FILES)


def test_files_without_a_digest_are_known_by_their_etag(store: Store) -> None:
    """A store tells none; the digest of what came then is what has to come again."""
    kept = good_files(store, [replace(file, sha256="") for file in FILES])
    assert kept is not None
    assert (kept.names, kept.files) == (frozenset({"a.gguf"}), FILES)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "cd"},
        {"size_bytes": 6},
        {"kind": FileKind.PROJECTOR},
        {"sha256": "", "etag": '"new"'},
        {"sha256": "", "etag": ""},
    ],
)
def test_nothing_is_kept_of_another_version(store: Store, changes: dict[str, Any]) -> None:
    """The source has changed in one file: the others may not fit it."""
    assert good_files(store, [FILES[0], replace(FILES[1], **changes)]) is None
    assert good_files(store, FILES[:1]) is None


def test_good_files_are_known_under_other_names(store: Store) -> None:
    """Another source of the same bytes keeps them, too; each under what that one calls it."""
    other = Store(store.root, "other")
    named = tuple(
        replace(file, path=name) for file, name in zip(FILES, ("b.gguf", "a.gguf"), strict=True)
    )
    kept = good_files(other, named)
    assert kept is not None
    assert (kept.names, kept.place, kept.files) == (frozenset({"b.gguf"}), store.place, named)


def test_a_damaged_manifest_vouches_for_nothing(store: Store) -> None:
    """Without it nobody knows what the files should be."""
    (store.place / "manifest.json").write_text("{")
    assert good_files(store, FILES) is None
    (found,) = verify(store)
    assert "cannot be read" in found.problem


def test_what_was_mended_meanwhile_is_not_set_apart(store: Store) -> None:
    """Another source of the same bytes may have done so between the hashing and the lock."""
    found = list(verify(store))
    assert [one.file for one in found] == ["b.gguf"]
    (store.folder / "b.gguf").write_bytes(CONTENT["b.gguf"])
    set_apart(store, found)
    assert list(verify(store)) == []
    set_apart(store, [Finding(key="key", file="../x", problem="")])
    (store.folder / "b.gguf").write_bytes(b"BBBBB")
    set_apart(store, found)
    assert [path.name for path in store.quarantine.iterdir()] == ["b.gguf"]


def test_a_manifest_that_leads_elsewhere(store: Store) -> None:
    """It is told as damaged, and neither what it names nor the others keep anybody from going on."""
    manifest = store.place / "manifest.json"
    manifest.write_text(manifest.read_text().replace("a.gguf", "../../outside"))
    found = list(verify(store))
    assert [one.file for one in found] == ["../../outside", "b.gguf"]
    set_apart(store, found)
    assert [path.name for path in store.quarantine.iterdir()] == ["b.gguf"]
    assert store.whole() is None


def test_keys_are_listed_and_contents_are_not(store: Store) -> None:
    """Each key once, whatever it leads to."""
    assert [one.key for one in stores(store.root)] == ["key"]


def test_a_link_that_leads_to_nothing_is_told(store: Store) -> None:
    """An artifact whose files are gone is damaged, not absent."""
    shutil.rmtree(store.place)
    (lost,) = stores(store.root)
    assert lost.key == stores(store.root, ("key",))[0].key == "key"
    (found,) = verify(lost)
    assert (found.key, found.file) == ("key", "")
