"""Images made without a builder."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.cluster.images import write_image


def test_the_archive_is_consistent_and_runs_the_program(tmp_path: Path) -> None:
    """Every blob has the digest and size its reference says; the program is executable."""
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF program")
    file = tmp_path / "images/pause.tar"
    write_image(file, "localhost/pause:1", program, architecture="arm64", user="1:1")
    with tarfile.open(file) as archive:

        def content(name: str) -> bytes:
            stream = archive.extractfile(name)
            assert stream
            return stream.read()

        def blob(descriptor: dict[str, Any]) -> bytes:
            digest = descriptor["digest"].removeprefix("sha256:")
            data = content(f"blobs/sha256/{digest}")
            assert hashlib.sha256(data).hexdigest() == digest
            assert len(data) == descriptor["size"]
            return data

        (entry,) = json.loads(content("index.json"))["manifests"]
        assert entry["annotations"]["io.containerd.image.name"] == "localhost/pause:1"
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        (layer,) = manifest["layers"]
        blob(layer)
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        assert config["architecture"] == "arm64"
        assert config["config"] == {"User": "1:1", "Entrypoint": ["/pause"]}
        with tarfile.open(
            fileobj=archive.extractfile(f"blobs/sha256/{layer['digest'][7:]}")
        ) as tar:
            assert [(one.name, one.mode) for one in tar] == [("pause", 0o755)]


def test_equal_programs_make_equal_archives(tmp_path: Path) -> None:
    """A build with the same key is the same build."""
    (tmp_path / "pause").write_bytes(b"program")
    for name in ("one.tar", "two.tar"):
        write_image(
            tmp_path / name, "localhost/x:1", tmp_path / "pause", architecture="amd64", user="1:1"
        )
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
