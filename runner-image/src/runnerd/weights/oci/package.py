"""Makes an artifact of a model, in Docker's layout.

GGUF files get a config v0.1; a folder with a safetensors model gets one of v0.2, in which every file
is a layer with its name.

The same files make the same digest: nothing of the machine or the moment is written.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights.disk import size_text
from runnerd.weights.durable import sync_folder
from runnerd.weights.failure import WeightsError
from runnerd.weights.folder import tensor_files_in
from runnerd.weights.headers import read_artifact, read_header, read_projector
from runnerd.weights.names import leads_out
from runnerd.weights.oci import media
from runnerd.weights.oci.documents import digest_of
from runnerd.weights.tensor_files import is_tensors

_BEGINNING: Final = "1970-01-01T00:00:00Z"
_TENSOR_MEDIA: Final = {
    FileKind.WEIGHTS: media.TENSORS,
    FileKind.CONFIG: media.MODEL_FILE,
    FileKind.CHAT_TEMPLATE: media.CHAT_TEMPLATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A file of the artifact: `size` is bytes, `digest` "sha256:<hex>"."""

    path: Path
    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An artifact: its manifest and config as bytes, and the files it is made of."""

    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """What the artifact is called everywhere: the digest of its manifest."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """The files to package: the model's, its shards in order, and what belongs to it.

    Of a safetensors model `weights` is its folder alone, which holds all of it but licenses.
    """

    weights: Sequence[Path]
    projector: Path | None = None
    chat_template: Path | None = None
    licenses: Sequence[Path] = field(default=())


def build(files: Ingredients) -> Package:
    """Hash the files, read the model's header, and describe both.

    Raises:
        WeightsError: not a model, or not all of its files.
        OSError: a file cannot be read.
    """
    licenses = [(path, media.LICENSE) for path in files.licenses]
    if len(files.weights) == 1 and files.weights[0].is_dir():
        return _build_tensors(files, licenses)
    wanted = [(path, media.GGUF) for path in files.weights]
    if files.projector is not None:
        _check_file(files.projector)
        read_projector(files.projector, os.fspath(files.projector))
        wanted.append((files.projector, media.PROJECTOR))
    if files.chat_template is not None:
        wanted.append((files.chat_template, media.CHAT_TEMPLATE))
    wanted += licenses
    artifact = _artifact(files.weights)
    return assemble(artifact, tuple(_layer(path, kind) for path, kind in wanted))


def _build_tensors(files: Ingredients, licenses: Sequence[tuple[Path, str]]) -> Package:
    folder = files.weights[0]
    if files.projector is not None or files.chat_template is not None:
        raise WeightsError(
            "a safetensors model has its chat template and what lets it see in its own folder: put them "
            "there instead of naming them"
        )
    where = os.fspath(folder)
    found = tensor_files_in(folder, where)
    artifact = read_artifact(folder, found, where)
    wanted = [(folder / file.path, _TENSOR_MEDIA[file.kind]) for file in found]
    layers = tuple(_layer(path, kind) for path, kind in (*wanted, *licenses))
    return assemble(artifact, layers, config_type=media.CONFIG_V2)


def assemble(
    artifact: Artifact, layers: tuple[Layer, ...], *, config_type: str = media.CONFIG_V1
) -> Package:
    """Describe a model whose layers are known; no file is read."""
    config = _json(
        {
            "config": _model(artifact),
            "descriptor": {"created": _BEGINNING},
            "rootfs": {"type": "rootfs", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": media.MANIFEST,
            "config": _described(config_type, digest_of(config), len(config)),
            "layers": [
                _described(layer.media_type, layer.digest, layer.size)
                | {"annotations": {media.FILE_PATH: layer.path.name}}
                for layer in layers
            ],
        }
    )
    return Package(manifest=manifest, config=config, layers=layers)


def write_layout(package: Package, folder: Path, name: str = "") -> None:
    """Write an OCI image layout: `oci-layout`, `index.json`, `blobs/sha256/…`.

    Args:
        package: The files are copied.
        folder: Made if it is not there; what it holds under other names is left alone.
        name: Told in the index as the artifact's name.

    Raises:
        OSError: the folder cannot be written.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for layer in package.layers:
        target = blobs / layer.digest.partition(":")[2]
        if not target.exists():
            draft = target.with_suffix(".draft")
            shutil.copyfile(layer.path, draft)
            draft.rename(target)
    for data in (package.config, package.manifest):
        (blobs / digest_of(data).partition(":")[2]).write_bytes(data)
    entry = _described(media.MANIFEST, package.digest, len(package.manifest))
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [entry]}
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    # Last: a layout without its index is visibly unfinished.
    (folder / "index.json").write_bytes(_json(index))
    sync_folder(folder)


def _artifact(weights: Sequence[Path]) -> Artifact:
    where = " ".join(os.fspath(path) for path in weights)
    if not weights:
        raise WeightsError(
            "there is no file to package: name the model's GGUF file, or the folder of a safetensors model"
        )
    if len({path.parent for path in weights}) > 1:
        raise WeightsError("the parts of a split model have to lie in one folder")
    if any(path.is_dir() or is_tensors(path.name) for path in weights):
        raise WeightsError(
            "a safetensors model is packaged by its folder: name that, and nothing else"
        )
    for path in weights:
        _check_file(path)
    sizes = [path.stat().st_size for path in weights]
    files = tuple(
        WeightsFile(path=path.name, size_bytes=size)
        for path, size in zip(weights, sizes, strict=True)
    )
    read_header(weights[0], where)
    return read_artifact(weights[0].parent, files, where)


def _model(artifact: Artifact) -> dict[str, Any]:
    found = {
        "format": artifact.format,
        "quantization": artifact.quantization,
        "parameters": artifact.parameters,
        "architecture": artifact.architecture,
        "size": size_text(artifact.size_bytes),
        "context_size": artifact.context_size,
    }
    return {key: value for key, value in found.items() if value}


def _layer(path: Path, media_type: str) -> Layer:
    if leads_out(path.name):
        raise WeightsError(
            f"{path.name!r} cannot be the name of a file in an artifact: rename the file"
        )
    _check_file(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return Layer(path=path, media_type=media_type, digest=f"sha256:{digest}", size=size)


def _check_file(path: Path) -> None:
    """A pipe or a device has no end, and who opens one waits for somebody else."""
    if not path.is_file():
        raise WeightsError(f"{path} is not there, or is no file: name the model's files")


def _described(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def contents(package: Package) -> Iterable[tuple[str, int, Path | bytes]]:
    """Everything but the manifest as (digest, bytes, where it is), smallest kinds last."""
    for layer in package.layers:
        yield layer.digest, layer.size, layer.path
    yield digest_of(package.config), len(package.config), package.config
