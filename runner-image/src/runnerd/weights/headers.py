"""Reads the headers of model files on a volume."""

from collections.abc import Sequence
from pathlib import Path

from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights import formats, gguf, safetensors, tensor_model
from runnerd.weights.failure import unsupported
from runnerd.weights.tensor_files import is_tensors


def read_artifact(
    folder: Path, files: Sequence[WeightsFile], where: str, *, digest: str = "", etag: str = ""
) -> Artifact:
    """What files that lie in a folder are, by their headers; of their weights nothing is read.

    Args:
        folder: Where the files lie.
        files: All files of the artifact; the weights first, in the order of the shards.
        where: The artifact in words.
        digest: What the source calls the artifact.
        etag: The version of its one file.

    Raises:
        WeightsError: no model, or not all of one.
        OSError: a file cannot be read.
    """
    if is_tensors(files[0].path):
        weights = [file for file in files if file.kind is FileKind.WEIGHTS]
        headers = [_read_tensors(folder / file.path, file.path, where) for file in weights]
        read = {
            file.path: (folder / file.path).read_bytes()
            for file in tensor_model.documents(files, where)
        }
        return tensor_model.artifact_of(headers, read, files, where, digest=digest, etag=etag)
    header, parameters = read_headers(folder, files, where)
    return formats.artifact_of(
        header, tuple(files), parameters=parameters, digest=digest, etag=etag
    )


def read_header(path: Path, where: str) -> gguf.GgufHeader:
    """The header of the GGUF model at `path`; at most 32 MiB are read.

    Raises:
        WeightsError: not a GGUF model; `where` names the file in the message.
        OSError: the file cannot be read.
    """
    header = _read(path, where)
    formats.check_model(where, header)
    return header


def read_projector(path: Path, where: str) -> None:
    """Look whether what lets a model see is a GGUF file.

    Raises:
        WeightsError: it is not.
        OSError: the file cannot be read.
    """
    _read(path, where)


def read_headers(
    folder: Path, files: Sequence[WeightsFile], where: str
) -> tuple[gguf.GgufHeader, int]:
    """The header of a GGUF model that is whole, and the parameters of all its shards together.

    Args:
        folder: Where the files lie.
        files: All files of the artifact; the weights among them in the order of the shards.
        where: The artifact in words.

    Raises:
        WeightsError: not GGUF, or not the shards of one model in their order.
        OSError: a file cannot be read.
    """
    for file in files:
        if file.kind is FileKind.PROJECTOR:
            read_projector(folder / file.path, f"{file.path} of {where}")
    weights = [file.path for file in files if file.kind is FileKind.WEIGHTS]
    headers = [read_header(folder / name, where) for name in weights]
    for i, (name, header) in enumerate(zip(weights, headers, strict=True)):
        found = formats.shard_of("" if len(weights) > 1 else name, header)
        if found != (i + 1, len(weights)):
            raise unsupported(
                f"{where} holds {len(weights)} model files, and number {i + 1} says that it is part "
                f"{found[0]} of {found[1]}: the source has to hold all parts of one model, in order"
            )
    return headers[0], sum(header.parameters for header in headers)


def _read(path: Path, where: str) -> gguf.GgufHeader:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise unsupported(f"{where} is empty")
        try:
            return gguf.read(file)
        except gguf.GgufError as error:
            file.seek(0)
            raise formats.not_gguf(where, file.read(64), error) from error


def _read_tensors(path: Path, name: str, where: str) -> safetensors.TensorsHeader:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(safetensors.LENGTH)
        try:
            end = safetensors.header_end(head, size)
            return safetensors.parse(head + file.read(end - len(head)), size)
        except safetensors.SafetensorsError as error:
            raise tensor_model.not_tensors(where, name, error) from error
