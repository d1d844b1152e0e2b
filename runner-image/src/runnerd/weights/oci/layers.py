"""Which layers of an artifact become which files."""

import json
import logging
from dataclasses import dataclass
from typing import Final

from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights import formats
from runnerd.weights.disk import size_text
from runnerd.weights.failure import unsupported
from runnerd.weights.names import CHAT_TEMPLATE, LICENSE, PROJECTOR, leads_out, weight_names
from runnerd.weights.oci import media, tensor_layers
from runnerd.weights.oci.documents import Config, Descriptor, Manifest

logger = logging.getLogger(__name__)

_LONGEST_TEXT: Final = 1024 * 1024
# The type flag of a tar entry, as a number or as a character: a regular file.
_REGULAR: Final = (0, ord("0"), "", "0", "\0")


@dataclass(slots=True)
class _Sorted:
    weights: list[Descriptor]
    safetensors: list[Descriptor]
    beside: dict[FileKind, list[Descriptor]]
    files: list[Descriptor]


def check_config_type(manifest: Manifest, where: str) -> None:
    """Refuse what is no model before anything else of it is read.

    Raises:
        WeightsError: UnsupportedFormat.
    """
    kind = manifest.config.media_type
    if kind == media.CONFIG_OLLAMA and any(
        layer.media_type.startswith(media.OLLAMA) for layer in manifest.layers
    ):
        return
    if kind not in media.CONFIGS:
        what = "a container image" if "image" in kind else "no model that is known here"
        raise unsupported(
            f"{where} is {what} (its config has the media type {kind:.128}): name an artifact that was "
            "made by docker model package, runnerd package, Ollama or a CNCF ModelPack tool"
        )


def files_of(manifest: Manifest, config: Config, where: str) -> tuple[WeightsFile, ...]:
    """The files of a model, its weights first and in order.

    The names of a GGUF model's are ours. Those of a safetensors model name each other, and keep
    their names. An artifact with both gives its GGUF.

    Raises:
        WeightsError: UnsupportedFormat: another format, an unknown layer, a hostile path.
    """
    found = _sort(manifest, config, where)
    if found.safetensors and not found.weights:
        return tensor_layers.files_of(found.safetensors, found.files, found.beside, where)
    if not found.weights:
        raise unsupported(
            f"{where} holds no model: none of its layers is a GGUF file or a safetensors file"
        )
    weights = _in_order(found.weights, where)
    names = weight_names(len(weights))
    files = [_file(layer, name) for layer, name in zip(weights, names, strict=True)]
    for kind, name in _NAMES.items():
        files += _beside(found.beside.get(kind, []), kind, name, where)
    return tuple(files)


_NAMES: Final = {
    FileKind.PROJECTOR: PROJECTOR,
    FileKind.CHAT_TEMPLATE: CHAT_TEMPLATE,
    FileKind.LICENSE: LICENSE,
}


def _sort(manifest: Manifest, config: Config, where: str) -> _Sorted:
    found = _Sorted([], [], {}, [])
    for layer in manifest.layers:
        _check_path(layer, where)
        kind = layer.media_type
        if kind in media.GGUFS:
            found.weights.append(layer)
        elif kind in media.SAFETENSORS:
            found.safetensors.append(layer)
        elif kind == media.RAW_WEIGHTS:
            _sort_raw(layer, config, found, where)
        elif kind in media.REFUSED:
            raise unsupported(f"{where} holds {media.REFUSED[kind]}, which no engine here can run")
        elif kind in media.FILES_BESIDE or kind == media.CONFIG_ARCHIVE:
            found.files.append(layer)
        elif kind not in media.LEFT_OUT:
            found.beside.setdefault(_kind_beside(layer, where), []).append(layer)
    return found


def _kind_beside(layer: Descriptor, where: str) -> FileKind:
    if layer.media_type in media.PROJECTORS:
        return FileKind.PROJECTOR
    if layer.media_type == media.CHAT_TEMPLATE:
        return FileKind.CHAT_TEMPLATE
    if layer.media_type in media.LICENSES:
        return FileKind.LICENSE
    raise unsupported(
        f"{where} has a layer of the unknown media type {layer.media_type:.128}: a newer version of "
        "the operator may know it"
    )


def _sort_raw(layer: Descriptor, config: Config, found: _Sorted, where: str) -> None:
    name = media.base_name(layer.annotations).lower()
    ending = name.rpartition(".")[2] if "." in name else config.format
    if ending == "gguf" and "mmproj" in name:
        found.beside.setdefault(FileKind.PROJECTOR, []).append(layer)
    elif ending == "gguf":
        found.weights.append(layer)
    elif ending == "safetensors":
        found.safetensors.append(layer)
    else:
        raise unsupported(
            f"{where} has weights in the format {ending[:32] or 'nobody named'!r}; GGUF and safetensors "
            "are known"
        )


def _check_path(layer: Descriptor, where: str) -> None:
    """We name files ourselves; who tries to name one elsewhere is refused altogether."""
    path = layer.annotations.get(media.FILE_PATH, "")
    if leads_out(path):
        raise unsupported(
            f"{where} has a layer whose path {path[:80]!r} leads out of its folder: it is refused"
        )
    if layer.media_type in media.LEFT_OUT and layer.media_type not in media.FILES_BESIDE:
        # Folders among them are told as what they are, and nothing of them is written.
        return
    try:
        told = json.loads(layer.annotations.get(media.FILE_METADATA, "{}"))
    except (ValueError, RecursionError):
        told = {}
    if isinstance(told, dict) and told.get("typeflag", 0) not in _REGULAR:
        raise unsupported(
            f"{where} has a layer that is a link or a device, not a file: it is refused"
        )


def _in_order(weights: list[Descriptor], where: str) -> list[Descriptor]:
    """Shards by the numbers in their names, where they have names; else as the layers come."""
    if len(weights) == 1:
        return weights
    names = [media.base_name(layer.annotations) for layer in weights]
    expected = formats.shard_names(names[0])
    if not expected:
        if any(names):
            raise unsupported(
                f"{where} holds {len(weights)} models ({', '.join(names)[:200]}): name an artifact "
                "with one"
            )
        return weights
    by_name = dict(zip(names, weights, strict=True))
    if sorted(by_name) != sorted(expected):
        raise unsupported(
            f"{where} holds {len(weights)} of the {len(expected)} parts of {names[0]}: package all"
        )
    return [by_name[name] for name in expected]


def _beside(layers: list[Descriptor], kind: FileKind, name: str, where: str) -> list[WeightsFile]:
    if len(layers) > 1 and kind is not FileKind.LICENSE:
        logger.warning("%s holds %d files of kind %s: the first is used", where, len(layers), kind)
        layers = layers[:1]
    if kind is not FileKind.PROJECTOR and any(layer.size > _LONGEST_TEXT for layer in layers):
        raise unsupported(
            f"{where} has a {name} of more than {size_text(_LONGEST_TEXT)}: it cannot be right"
        )
    names = (name if i == 0 else f"{name}-{i + 1}" for i in range(len(layers)))
    return [_file(layer, one, kind) for layer, one in zip(layers, names, strict=False)]


def _file(layer: Descriptor, name: str, kind: FileKind = FileKind.WEIGHTS) -> WeightsFile:
    return WeightsFile(path=name, size_bytes=layer.size, sha256=layer.sha256, kind=kind)
