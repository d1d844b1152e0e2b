"""`tests.images.archives`: archives that are imported under their names, and tidied."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

from tests.images.archives import (
    Size,
    describe,
    described,
    description,
    forget_old,
    manifest_and_config,
    write_archive,
)


def layout(folder: Path) -> Path:
    """An OCI layout of an image without layers."""

    def blob(content: object) -> dict[str, object]:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        file = folder / "blobs" / "sha256" / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config = blob({"config": {"User": "65532:65532"}})
    manifest = blob({"config": config, "layers": []})
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return folder


def test_an_archive_knows_all_names(tmp_path: Path) -> None:
    """Both spellings of the annotation are there for each name, so every importer finds it."""
    archive = tmp_path / "image.tar"
    write_archive(layout(tmp_path / "layout"), ("localhost/a:1", "localhost/a:dev"), archive)
    with tarfile.open(archive) as tar:
        content = tar.extractfile("index.json")
        assert content is not None
        index = json.load(content)
    assert [list(one["annotations"].values()) for one in index["manifests"]] == [
        ["localhost/a:1"] * 2,
        ["localhost/a:dev"] * 2,
    ]
    assert manifest_and_config(archive)[1] == {"config": {"User": "65532:65532"}}


def test_archives_are_deterministic(tmp_path: Path) -> None:
    """The same image gives the same bytes, whenever it was written."""
    for name in ("one", "two"):
        write_archive(layout(tmp_path / name), ("a:1",), tmp_path / f"{name}.tar")
        os.utime(tmp_path / name / "oci-layout", (1, 1))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_sizes_are_kept_beside_the_archive(tmp_path: Path) -> None:
    """What was measured once is read again, and shown in megabytes."""
    size = Size(archive=56_800_000, unpacked=292_000_000)
    describe(tmp_path / "a.tar", size)
    assert described(tmp_path / "a.tar") == size
    assert str(size) == "archive 56.8 MB, unpacked 292.0 MB"


def test_old_archives_are_forgotten(tmp_path: Path) -> None:
    """The newest stay, with the one just made; others of another title are not touched."""
    archives = [tmp_path / f"runner-{age}.tar" for age in range(4)]
    for age, archive in enumerate([*archives, tmp_path / "operator-0.tar"]):
        archive.touch()
        describe(archive, Size(1, 1))
        os.utime(archive, (age, age))
    removed = forget_old(archives[3], "runner-?.tar", keep=2)
    assert removed == archives[:2]
    assert not description(archives[0]).exists()
    assert {file.name for file in tmp_path.glob("*.tar")} == {
        "runner-2.tar",
        "runner-3.tar",
        "operator-0.tar",
    }
