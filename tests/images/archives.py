"""OCI archives: written from a layout, read, and described by a file beside them."""

import dataclasses
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Size:
    """Bytes: of the archive, and of the unpacked file systems of all layers."""

    archive: int
    unpacked: int

    def __str__(self) -> str:
        """Both in decimal megabytes."""
        return f"archive {self.archive / 1e6:.1f} MB, unpacked {self.unpacked / 1e6:.1f} MB"


def description(archive: Path) -> Path:
    """The file beside an archive that is written last, so an archive with it is whole."""
    return archive.with_suffix(".json")


def describe(archive: Path, size: Size) -> None:
    """Write the description."""
    description(archive).write_text(json.dumps(dataclasses.asdict(size)), encoding="utf-8")


def described(archive: Path) -> Size:
    """What `describe` wrote."""
    return Size(**json.loads(description(archive).read_text(encoding="utf-8")))


def forget_old(archive: Path, pattern: str, keep: int) -> list[Path]:
    """Remove all but the newest `keep` archives of `pattern` beside `archive`; tell which."""
    found = sorted(archive.parent.glob(pattern), key=lambda file: file.stat().st_mtime)
    old = [file for file in found[:-keep] if file != archive]
    for file in old:
        description(file).unlink(missing_ok=True)
        file.unlink()
    return old


def write_archive(layout: Path, names: Sequence[str], archive: Path) -> None:
    """Pack an OCI layout of one image so that it is imported under each of `names`."""
    index_file = layout / "index.json"
    index = json.loads(index_file.read_text(encoding="utf-8"))
    (entry,) = index["manifests"]
    index["manifests"] = [
        {
            **entry,
            "annotations": {
                # The first is read by containerd, the second by everybody else.
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name,
            },
        }
        for name in names
    ]
    index_file.write_text(json.dumps(index), encoding="utf-8")
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        for file in sorted(path for path in layout.rglob("*") if path.is_file()):
            entry_header = tarfile.TarInfo(file.relative_to(layout).as_posix())
            entry_header.size = file.stat().st_size
            with file.open("rb") as content:
                tar.addfile(entry_header, content)
    partial.replace(archive)


def manifest_and_config(archive: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the configuration of the image in an OCI archive."""
    with tarfile.open(archive) as tar:
        index = _json(tar, "index.json")
        manifest = _json(tar, _blob(index["manifests"][0]["digest"]))
        return manifest, _json(tar, _blob(manifest["config"]["digest"]))


def _json(tar: tarfile.TarFile, path: str) -> dict[str, Any]:
    content = tar.extractfile(path)
    if content is None:
        raise FileNotFoundError(path)
    with content:
        found: dict[str, Any] = json.load(content)
    return found


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
