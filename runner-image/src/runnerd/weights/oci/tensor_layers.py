"""Which layers of an artifact become which files of a safetensors model."""

from collections.abc import Mapping, Sequence
from typing import Final

from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights import config_archive, formats, tensor_files
from runnerd.weights.failure import unsupported
from runnerd.weights.model_config import TEMPLATE
from runnerd.weights.names import LICENSE
from runnerd.weights.oci import media
from runnerd.weights.oci.documents import Descriptor

_NAMES: Final = {FileKind.CHAT_TEMPLATE: TEMPLATE, FileKind.LICENSE: LICENSE}


def files_of(
    weights: Sequence[Descriptor],
    files: Sequence[Descriptor],
    beside: Mapping[FileKind, Sequence[Descriptor]],
    where: str,
) -> tuple[WeightsFile, ...]:
    """The files of a safetensors model, its weights first and in order.

    Args:
        weights: The layers with tensors.
        files: Layers with settings and a tokenizer; what no engine needs of them is left out.
        beside: Layers that have a media type of their own.
        where: The artifact in words.

    Raises:
        WeightsError: UnsupportedFormat.
    """
    found = _weights(weights, where)
    for layer in files:
        path = _path(layer)
        if layer.media_type == media.CONFIG_ARCHIVE:
            found.append(_file(layer, config_archive.NAME, FileKind.CONFIG))
        elif "/" not in path and (kind := tensor_files.kind_beside(path)) is not None:
            found.append(_file(layer, path, kind))
    for kind, name in _NAMES.items():
        for number, layer in enumerate(beside.get(kind, ())):
            own = media.base_name(layer.annotations) if kind is FileKind.CHAT_TEMPLATE else ""
            found.append(_file(layer, own or (f"{name}-{number + 1}" if number else name), kind))
    for file in found:
        if file.kind is not FileKind.WEIGHTS and file.size_bytes > tensor_files.LARGEST_BESIDE:
            raise unsupported(
                f"{where} has a {file.path} of {file.size_bytes} bytes: it is refused"
            )
    formats.check_files(found, where)
    return tuple(found)


def _weights(layers: Sequence[Descriptor], where: str) -> list[WeightsFile]:
    paths = [_path(layer) for layer in layers]
    if not all(paths):
        # Nobody named them: they are called as transformers calls them, in their order.
        count = len(layers)
        paths = [
            f"model-{at + 1:05d}-of-{count:05d}.safetensors" if count > 1 else "model.safetensors"
            for at in range(count)
        ]
    folder = tensor_files.folder_of(paths, where)
    own = {
        path: layer
        for path, layer in zip(paths, layers, strict=True)
        if "/" not in path[len(folder) :]
    }
    if len(set(paths)) < len(paths):
        raise unsupported(f"{where} has two layers with weights under one name: it is refused")
    return [
        _file(own[path], tensor_files.base_name(path), FileKind.WEIGHTS)
        for path in tensor_files.in_order(list(own), where)
    ]


def _path(layer: Descriptor) -> str:
    """Checked before: it leads nowhere else."""
    return layer.annotations.get(media.FILE_PATH, "").replace("\\", "/")


def _file(layer: Descriptor, name: str, kind: FileKind) -> WeightsFile:
    return WeightsFile(path=name, size_bytes=layer.size, sha256=layer.sha256, kind=kind)
