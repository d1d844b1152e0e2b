"""What a folder says that it holds; what is odd is tested by test_store."""

from dataclasses import replace
from pathlib import Path

from modelrunner_protocol.wire import Artifact, OciSource, Source, WeightsFile
from runnerd.weights.manifest import note_path, recorded, renamed, source_of, write_manifest

FILE = WeightsFile(path="m.gguf", size_bytes=5, sha256="ab")
ARTIFACT = Artifact(format="gguf", size_bytes=5, files=(FILE,), digest="sha256:1", memory_bytes=7)


def _source(name: str) -> Source:
    return Source(oci=OciSource(reference=name))


def test_each_key_has_its_own_words(tmp_path: Path) -> None:
    """A note beside the manifest; without one, or with a broken one, the manifest counts."""
    write_manifest(tmp_path / "manifest.json", _source("first"), ARTIFACT)
    second = replace(ARTIFACT, digest="sha256:2")
    write_manifest(note_path(tmp_path, "key"), _source("second"), second)
    assert (recorded(tmp_path), recorded(tmp_path, "key")) == (ARTIFACT, second)
    assert source_of(tmp_path, "key") == _source("second")
    assert (recorded(tmp_path, "other"), source_of(tmp_path, "other")) == (
        ARTIFACT,
        _source("first"),
    )
    note_path(tmp_path, "key").write_text("{")
    assert (recorded(tmp_path, "key"), source_of(tmp_path, "key")) == (ARTIFACT, _source("first"))


def test_a_note_of_other_files_does_not_count(tmp_path: Path) -> None:
    """The manifest says which files there are."""
    write_manifest(tmp_path / "manifest.json", _source("first"), ARTIFACT)
    other = replace(ARTIFACT, files=(replace(FILE, sha256="cd"),))
    write_manifest(note_path(tmp_path, "key"), _source("second"), other)
    assert recorded(tmp_path, "key") == ARTIFACT


def test_nobody_can_tell(tmp_path: Path) -> None:
    """An empty source, where there is nothing."""
    assert source_of(tmp_path, "key") == Source()


def test_a_source_renames_and_knows_no_less() -> None:
    """Digest, ETag and revision are the source's; what the headers say stays."""
    wanted = Artifact(format="", size_bytes=0, files=(), digest="sha256:2", etag="e", revision="r")
    found = renamed(replace(ARTIFACT, architecture="llama"), wanted, (FILE,))
    assert (found.digest, found.etag, found.revision) == ("sha256:2", "e", "r")
    assert (found.architecture, found.size_bytes, found.memory_bytes) == ("llama", 5, 7)
    assert renamed(ARTIFACT, replace(wanted, memory_bytes=8), (FILE,)).memory_bytes == 8
