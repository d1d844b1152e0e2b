"""The catalogue on the disk."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runnerd.standalone.catalogue.catalogue import Catalogue, UnknownModelError
from runnerd.standalone.catalogue.index_file import BrokenIndexError
from runnerd.standalone.catalogue.install import install, landing
from runnerd.standalone.catalogue.names import InvalidNameError
from runnerd.standalone.catalogue.removal import Removal, SeveralTagsError
from runnerd.standalone.catalogue.stored import OCI_MANIFEST, Stored, document_path
from runnerd.weights.content import content_name
from runnerd.weights.oci.documents import digest_of
from runnerd.weights.store import Store
from tests.support.gguf_files import model
from tests.unit.runnerd.standalone.catalogue.conftest import Adder


def _names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_added_model_is_found(catalogue: Catalogue, adder: Adder) -> None:
    """With all that is told of it; its files are where it says."""
    stored = adder("Smol:v1")
    assert catalogue.models() == [stored]
    assert catalogue.find("smol:v1") == stored
    assert catalogue.find(stored.identity[7:19]) == stored
    assert stored.tags == ("ai/smol:v1",)
    assert stored.created == 1000.0
    assert stored.weights.read_bytes() == model()
    assert (stored.projector, stored.chat_template) == (None, None)
    assert stored.artifact.digest == stored.identity
    assert stored.artifact.architecture == "llama"
    assert _names(catalogue.root) == [
        stored.identity[7:],
        f"{stored.identity[7:]}.lock",
        "models.json",
        "models.lock",
        content_name(stored.artifact.files),
    ]


def test_equal_model_is_stored_once(catalogue: Catalogue, adder: Adder) -> None:
    """Added again under another name it is the same model with two tags, and no more bytes."""
    first = adder("one")
    used = catalogue.usage()
    second = adder("two")
    assert second.identity == first.identity
    assert second.tags == ("ai/one:latest", "ai/two:latest")
    assert catalogue.usage() - used == len('"ai/two:latest"') + len(",\n    ")


def test_moved_tag_leaves_a_model_without_one(catalogue: Catalogue, adder: Adder) -> None:
    """A tag that is given to a new model leaves the old one, which stays, as Docker's does."""
    old, new = adder("m", 1), adder("m", 2)
    assert catalogue.find("m") == new
    left = catalogue.find(old.identity)
    assert left is not None
    assert (left.tags, left.weights.read_bytes()) == ((), model(seed=1))
    assert [one.tags for one in catalogue.models()] == [(), ("ai/m:latest",)]


def test_remove_by_tag(catalogue: Catalogue, adder: Adder) -> None:
    """One of two tags goes alone; with the last one the model and its files go."""
    stored = adder("one")
    assert catalogue.tag("one", "Team/Two") == "team/two:latest"
    assert catalogue.remove("one") == [(Removal.UNTAGGED, "ai/one:latest")]
    assert catalogue.find("one") is None
    assert catalogue.remove("docker.io/team/two") == [
        (Removal.UNTAGGED, "team/two:latest"),
        (Removal.DELETED, stored.identity),
    ]
    assert catalogue.models() == []
    assert _names(catalogue.root) == ["models.json", "models.lock"]


def test_remove_by_identity(catalogue: Catalogue, adder: Adder) -> None:
    """A model with two tags goes by its identity only with force; then both are told."""
    stored = adder("one")
    catalogue.tag(stored.identity, "two")
    with pytest.raises(SeveralTagsError, match="ai/one:latest, ai/two:latest"):
        catalogue.remove(stored.identity[7:19])
    assert catalogue.remove(stored.identity[7:19], force=True) == [
        (Removal.UNTAGGED, "ai/one:latest"),
        (Removal.UNTAGGED, "ai/two:latest"),
        (Removal.DELETED, stored.identity),
    ]


def test_names_that_lead_nowhere(catalogue: Catalogue, adder: Adder) -> None:
    """Unknown models, and names that nothing can have, are told as such; nothing changes."""
    stored = adder("team/m")
    before = (catalogue.root / "models.json").read_bytes()
    for name in ("other", "", "../m", "m"):
        with pytest.raises(UnknownModelError):
            catalogue.remove(name)
    with pytest.raises(UnknownModelError):
        catalogue.tag("other", "new")
    for new in ("", "a b", stored.identity, f"m@{stored.identity}"):
        with pytest.raises(InvalidNameError):
            catalogue.tag("m", new)
    assert (catalogue.root / "models.json").read_bytes() == before


def test_last_part_is_enough_to_tag(catalogue: Catalogue, adder: Adder) -> None:
    """Tagging guesses as Docker Model Runner does; it loses nothing."""
    adder("team/m")
    assert catalogue.tag("m", "n") == "ai/n:latest"


def test_open_files_stay_readable(catalogue: Catalogue, adder: Adder) -> None:
    """An engine that has a model mapped goes on when the model is removed."""
    stored = adder("m")
    with stored.weights.open("rb") as file:
        catalogue.remove("m")
        assert file.read() == model()


def test_purge(catalogue: Catalogue, adder: Adder) -> None:
    """Everything goes: models, and what was downloaded in part, but not what others keep here."""
    stored = adder("m")
    partial = catalogue.root / f"{'e' * 64}.partial"
    partial.mkdir()
    (partial / "model.gguf").write_bytes(b"half")
    (catalogue.root / "lost+found").mkdir()
    assert catalogue.purge() == [stored.identity]
    assert catalogue.models() == []
    assert _names(catalogue.root) == ["lost+found", "models.json", "models.lock"]


def test_purge_spares_what_is_being_pulled(catalogue: Catalogue) -> None:
    """A download at work keeps its partial files: whoever waits for it gets the model."""
    store = catalogue.store(f"sha256:{'e' * 64}")
    with store.lock():
        store.partial.mkdir()
        catalogue.purge()
        assert store.partial.is_dir()


def test_another_process_is_seen(catalogue: Catalogue, adder: Adder) -> None:
    """What one changes, the other knows the next time it looks."""
    other = Catalogue(catalogue.root)
    assert other.models() == []
    stored = adder("m")
    assert other.models() == [stored]
    other.remove("m")
    assert catalogue.find("m") is None


def test_changes_at_once_are_all_kept(catalogue: Catalogue, adder: Adder) -> None:
    """Who changes the index waits for whoever does: no tag is lost."""
    adder("m")
    writers = [catalogue, Catalogue(catalogue.root), Catalogue(catalogue.root)]
    names = [f"team/m{i}:latest" for i in range(24)]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(writers[i % 3].tag, "ai/m", name) for i, name in enumerate(names)]
        assert [job.result() for job in jobs] == names
    (stored,) = catalogue.models()
    assert set(stored.tags) == {"ai/m:latest", *names}


def test_crash_in_the_middle_of_a_removal(
    catalogue: Catalogue, adder: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is first: what a crash leaves is files without a model, which are found again."""
    adder("m")

    def crash(_: Store) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Store, "withdraw", crash)
        with pytest.raises(KeyboardInterrupt):
            catalogue.remove("m")
    fresh = Catalogue(catalogue.root)
    assert fresh.models() == []
    assert adder("m").weights.read_bytes() == model()


def test_model_that_lost_a_file(catalogue: Catalogue, adder: Adder) -> None:
    """A model whose folder is damaged is not there, and comes back when it is added again."""
    stored = adder("m")
    adder("other", 2)
    stored.weights.unlink()
    fresh = Catalogue(catalogue.root)
    assert fresh.find("m") is None
    assert [one.tags for one in fresh.models()] == [("ai/other:latest",)]
    assert adder("m").weights.read_bytes() == model()


def test_crash_before_the_index_knows(catalogue: Catalogue, adder: Adder) -> None:
    """Files without an entry are no model; added again they are one."""
    stored = adder("m")
    (catalogue.root / "models.json").unlink()
    fresh = Catalogue(catalogue.root)
    assert fresh.models() == []
    assert fresh.admit(stored.identity, "ai/m:latest", known=True) is None
    found = fresh.admit(stored.identity, "ai/m:latest")
    assert found is not None
    assert found.tags == ("ai/m:latest",)


def test_files_without_their_documents_are_no_model(catalogue: Catalogue, adder: Adder) -> None:
    """A crash between the files and what describes them leaves nothing that looks whole."""
    stored = adder("m")
    document = document_path(stored.folder, stored.identity, OCI_MANIFEST)
    for content in (b"{}", None):
        if content is None:
            document.unlink()
        else:
            document.write_bytes(content)
        assert Catalogue(catalogue.root).models() == []
        assert catalogue.admit(stored.identity) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"models":[]}',
        '{"version":2,"models":[]}',
        '{"version":1,"models":[{"id":"../x","tags":[],"created":0}]}',
        '{"version":1,"models":[{"id":"sha256:00","tags":[],"created":0}]}',
        '{"version":1,"models":[{"id":7,"tags":[],"created":0}]}',
        "[" * 100_000,
    ],
)
def test_index_of_somebody_else(tmp_path: Path, text: str) -> None:
    """A file that is no index of ours is left alone, and told."""
    (tmp_path / "models.json").write_text(text)
    with pytest.raises(BrokenIndexError, match="MODELS_PATH"):
        Catalogue(tmp_path)
    assert (tmp_path / "models.json").read_text() == text


def test_folder_that_cannot_be_written(
    catalogue: Catalogue, adder: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is mounted read-only serves what it holds; sweeping it is no error."""
    stored = adder("m")

    def refused(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refused)
    fresh = Catalogue(catalogue.root)
    assert fresh.sweep() == 0
    assert fresh.find("m") == stored


def test_index_is_plain_json(catalogue: Catalogue, adder: Adder) -> None:
    """People can read it: identities, tags and moments."""
    stored = adder("m")
    assert json.loads((catalogue.root / "models.json").read_text()) == {
        "version": 1,
        "models": [{"id": stored.identity, "tags": ["ai/m:latest"], "created": 1000.0}],
    }


def test_usage_counts_each_file_once(catalogue: Catalogue, adder: Adder) -> None:
    """All bytes below the folder; a file with two names counts once."""
    stored = adder("m")
    before = catalogue.usage()
    os.link(stored.weights, stored.folder / "again")
    assert catalogue.usage() == before > 4096


def _packaged_again(catalogue: Catalogue, stored: Stored) -> Stored:
    """The same files with another config, as packaging them on another day makes it."""
    manifest, config = catalogue.documents(stored)
    other = config.replace(b"{", b'{"packaged": "again", ', 1)
    text = manifest.replace(digest_of(config).encode(), digest_of(other).encode())
    text = text.replace(f'"size":{len(config)}'.encode(), f'"size":{len(other)}'.encode(), 1)
    with landing(catalogue) as folder:
        blobs = {digest_of(other): folder / "config"}
        blobs[digest_of(other)].write_bytes(other)
        for file in stored.artifact.files:
            blobs[f"sha256:{file.sha256}"] = folder / file.sha256
            shutil.copyfile(stored.folder / file.path, folder / file.sha256)
        return install(catalogue, blobs, text, "ai/again:latest")


def test_models_with_equal_files_share_them(catalogue: Catalogue, adder: Adder) -> None:
    """Each has its own documents and stays whole when the other goes; the bytes are there once."""
    first = adder("m")
    documents, used = catalogue.documents(first), catalogue.usage()
    second = _packaged_again(catalogue, first)
    assert second.identity != first.identity
    assert catalogue.usage() - used < first.artifact.size_bytes
    assert catalogue.documents(first) == documents != catalogue.documents(second)
    assert [one.artifact.digest for one in catalogue.models()] == [first.identity, second.identity]
    catalogue.remove("m")
    assert catalogue.models() == [second]
    assert second.weights.read_bytes() == model()
    assert not list(second.folder.glob(f".{first.identity[7:]}*"))
    catalogue.remove("again")
    assert _names(catalogue.root) == ["models.json", "models.lock"]
