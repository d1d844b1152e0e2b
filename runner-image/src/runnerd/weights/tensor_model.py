"""What a safetensors model is, by the headers of its files and what lies beside them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights import config_archive, memory, model_config
from runnerd.weights.abilities import abilities
from runnerd.weights.bounded_json import UnreadableError
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.formats import count_text
from runnerd.weights.model_config import ModelConfig
from runnerd.weights.safetensors import SafetensorsError, TensorsHeader
from runnerd.weights.tensor_attention import attention_of
from runnerd.weights.tensor_files import base_name, is_tensors

FORMAT: Final = "safetensors"


def documents(files: Sequence[WeightsFile], where: str) -> tuple[WeightsFile, ...]:
    """Those of the files beside the weights that have to be read, all of them small.

    Raises:
        WeightsError: one is larger than any of its kind.
    """
    found = []
    for file in files:
        if base_name(file.path) == config_archive.NAME and file.size_bytes <= config_archive.LIMIT:
            found.append(file)
        limit = model_config.LIMITS.get(base_name(file.path))
        if limit is None or file.kind is FileKind.WEIGHTS:
            continue
        if file.size_bytes > limit:
            raise unsupported(
                f"{where} has a {file.path} of {file.size_bytes} bytes, and {limit} are the most: it "
                "cannot be right"
            )
        found.append(file)
    return tuple(found)


def artifact_of(
    headers: Sequence[TensorsHeader],
    read: Mapping[str, bytes],
    files: Sequence[WeightsFile],
    where: str,
    *,
    digest: str = "",
    etag: str = "",
) -> Artifact:
    """Put together what was read.

    Args:
        headers: Of all files with weights.
        read: What `documents` named, by path.
        files: All of them, those with weights first.
        where: The source in words.
        digest: What the source calls the artifact.
        etag: The version of its one file.

    Raises:
        WeightsError: what lies beside the weights cannot be read.
    """
    named = {base_name(path): content for path, content in read.items()}
    named = config_archive.unpacked(named.pop(config_archive.NAME, b"")) | named
    config = ModelConfig()
    if model_config.CONFIG in named:
        try:
            config = model_config.read_config(named[model_config.CONFIG])
        except UnreadableError as error:
            raise unsupported(f"the {model_config.CONFIG} of {where} {error}") from error
    elements: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for header in headers:
        shapes |= header.shapes
        for kind, count in header.elements.items():
            elements[kind] = elements.get(kind, 0) + count
    known = replace(config, attention=config.attention or attention_of(shapes))
    return Artifact(
        format=FORMAT,
        size_bytes=sum(file.size_bytes for file in files),
        files=tuple(files),
        digest=digest,
        architecture=config.architecture,
        parameters=count_text(sum(elements.values())),
        quantization=config.quantization or _most(elements) or config.type,
        context_size=config.context_size,
        abilities=abilities(model_config.read_template(named)),
        etag=etag,
        memory_bytes=memory.usual(known, files) or memory.least(files),
    )


def refuse_tensors(files: Sequence[WeightsFile], where: str, mend: str) -> None:
    """Refuse a safetensors model where only llama.cpp runs.

    Raises:
        WeightsError: UnsupportedFormat; it ends with `mend`.
    """
    weights = [file for file in files if file.kind is FileKind.WEIGHTS]
    if is_tensors(weights[0].path):
        size = size_text(sum(file.size_bytes for file in weights))
        raise unsupported(
            f"{where} holds safetensors weights ({len(weights)} files, {size}), and llama.cpp runs "
            f"GGUF: {mend}"
        )


def not_tensors(where: str, path: str, error: SafetensorsError) -> WeightsError:
    """The failure to tell when `safetensors.parse` refused a file."""
    return unsupported(f"{where}: {path} is not a safetensors file that can be loaded: {error}")


def _most(elements: Mapping[str, int]) -> str:
    """The type of most weights."""
    return max(elements, key=lambda kind: elements[kind]) if elements else ""
