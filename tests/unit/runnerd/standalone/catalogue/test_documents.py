"""What is read out of a registry's documents."""

from pathlib import Path

import pytest

from runnerd.standalone.catalogue.documents import created_in, read_documents, write_documents
from tests.support.oci_files import GGUF, OciFiles, digest

FILES = OciFiles([(GGUF, b"weights", "")])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ('{"descriptor":{"created":"1970-01-01T00:01:00Z"}}', 60.0),
        ('{"descriptor":{"created":"2025-05-06T07:08:09.123456789Z"}}', 1746515289.123456),
        ('{"descriptor":{"created":"2025-05-06T09:08:09+02:00"}}', 1746515289.0),
        ('{"descriptor":{"created":"1969-01-01T00:00:00Z"}}', 0.0),
        ('{"descriptor":{"created":"soon"}}', 0.0),
        ('{"descriptor":{"created":7}}', 0.0),
        ('{"descriptor":[]}', 0.0),
        ("{}", 0.0),
        ("[]", 0.0),
        ("{", 0.0),
    ],
)
def test_when_a_model_was_packaged(text: str, moment: float) -> None:
    """As its config says; 0 when that says nothing, or nonsense."""
    assert created_in(text.encode()) == moment


def test_documents_are_those_of_the_model(tmp_path: Path) -> None:
    """They are read back byte by byte; those of another model are none, and disturb nobody."""
    write_documents(tmp_path, FILES.manifest_bytes, FILES.config_bytes)
    identity = digest(FILES.manifest_bytes)
    write_documents(tmp_path, b"{}", b"{}")
    assert read_documents(tmp_path, identity) == (FILES.manifest_bytes, FILES.config_bytes)
    assert read_documents(tmp_path, digest(b"other")) is None
    assert read_documents(tmp_path, digest(b"{}")) is None
    write_documents(tmp_path, FILES.manifest_bytes, b"{}")
    assert read_documents(tmp_path, identity) is None
    digits = identity[7:], digest(b"{}")[7:]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f".{one}.oci-{what}.json" for one in digits for what in ("config", "manifest")
    )


def test_documents_of_an_older_server_are_found(tmp_path: Path) -> None:
    """Where each model has a folder of its own they have shorter names."""
    (tmp_path / ".oci-manifest.json").write_bytes(FILES.manifest_bytes)
    (tmp_path / ".oci-config.json").write_bytes(FILES.config_bytes)
    identity = digest(FILES.manifest_bytes)
    assert read_documents(tmp_path, identity) == (FILES.manifest_bytes, FILES.config_bytes)
