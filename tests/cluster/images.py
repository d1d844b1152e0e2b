"""Container images of one static program, made without a builder."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

PAUSE = "localhost/pause:1"
COREDNS = "localhost/coredns:1"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def write_image(file: Path, name: str, program: Path, *, architecture: str, user: str) -> None:
    """Write an OCI archive whose only content and entry point is `program`, at the root.

    Args:
        file: the archive to write.
        name: full image name with tag.
        program: a statically linked executable.
        architecture: Go's name of it, such as amd64.
        user: numeric `UID:GID`.
    """
    layer = _layer(program)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"User": user, "Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    config_blob = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, config_blob),
        "layers": [_descriptor(_LAYER, layer)],
    }
    manifest_blob = json.dumps(manifest).encode()
    entry = _descriptor(_MANIFEST, manifest_blob)
    entry["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", index)
        for blob in (layer, config_blob, manifest_blob):
            _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)


def _layer(program: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        _add(tar, program.name, program.read_bytes(), mode=0o755)
    return stream.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
