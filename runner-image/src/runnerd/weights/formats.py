"""Names for bytes that are not GGUF, and for GGUF files that are not a whole model."""

import re
from collections.abc import Sequence
from typing import Final

from modelrunner_protocol.wire import Artifact, WeightsFile
from runnerd.weights import memory
from runnerd.weights.abilities import abilities
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.gguf import MAGIC, GgufError, GgufHeader
from runnerd.weights.gguf_types import FILE_TYPES
from runnerd.weights.names import safe_name
from runnerd.weights.safetensors import looks_like_safetensors

FORMAT: Final = "gguf"

_SHARD: Final = re.compile(r"-([0-9]{5})-of-([0-9]{5})\.gguf$", re.IGNORECASE)
_SHOWN: Final = 12
_LARGEST: Final = 16 << 40
_PREFIXES: Final = (
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file it points to"),
    (b"lmgg", "a GGML file, older than GGUF"),
    (b"fmgg", "a GGMF file, older than GGUF"),
    (b"tjgg", "a GGJT file, older than GGUF"),
    (b"\x80\x02", "a Python pickle"),
    (b"{", "JSON"),
    (b"<", "an HTML or XML page"),
)
_PARTS: Final = {
    "adapter": "a LoRA adapter",
    "mmproj": "a multimodal projector",
    "imatrix": "an importance matrix",
}
_UNITS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def looks_like(head: bytes) -> str:
    """What the first bytes of a file are taken for, in words."""
    if not head:
        return "it is empty"
    shown = f"it starts with {head[:_SHOWN].decode('latin-1')!a}"
    if looks_like_safetensors(head):
        return f"{shown} and looks like a safetensors file"
    for prefix, name in _PREFIXES:
        if head.lstrip().startswith(prefix):
            return f"{shown} and looks like {name}"
    return shown


def not_gguf(where: str, head: bytes, error: GgufError) -> WeightsError:
    """The failure to tell when `gguf.parse` refused the bytes that start with `head`."""
    if head[:4] == MAGIC:
        return unsupported(f"{where} is a GGUF file that cannot be loaded: {error}")
    return unsupported(
        f"{where} is not a GGUF file: {looks_like(head)}; the source has to name the .gguf file itself"
    )


def check_model(where: str, header: GgufHeader) -> None:
    """Refuse GGUF files that are no model.

    Raises:
        WeightsError: an adapter, a projector, or a file without an architecture.
    """
    if header.kind in _PARTS:
        raise unsupported(f"{where} is {_PARTS[header.kind]}, not a model: name the model's file")
    if not header.architecture:
        raise unsupported(f"{where} is a GGUF file without a model architecture")


def shard_of(name: str, header: GgufHeader) -> tuple[int, int]:
    """(position from 1, number) of a split model's file; (1, 1) for a whole model."""
    match = _SHARD.search(name)
    if match is not None and int(match[2]) > 1:
        return int(match[1]), int(match[2])
    return header.shard + 1, header.shards


def shard_names(name: str) -> tuple[str, ...]:
    """The names of all files of the split model that `name` is one of; empty if it is none."""
    match = _SHARD.search(name)
    if match is None:
        return ()
    stem, count = name[: match.start()], int(match[2])
    return tuple(f"{stem}-{i:05d}-of-{count:05d}.gguf" for i in range(1, count + 1))


def artifact_of(
    header: GgufHeader,
    files: tuple[WeightsFile, ...],
    *,
    parameters: int | None = None,
    digest: str = "",
    etag: str = "",
) -> Artifact:
    """An artifact from its first file's header; `parameters` of all files if there are more."""
    return Artifact(
        format=FORMAT,
        size_bytes=sum(file.size_bytes for file in files),
        files=files,
        digest=digest,
        architecture=header.architecture,
        parameters=count_text(header.parameters if parameters is None else parameters),
        quantization=FILE_TYPES.get(-1 if header.file_type is None else header.file_type, ""),
        context_size=header.context_size,
        abilities=abilities(header.template),
        etag=etag,
        memory_bytes=memory.usual(header, files),
    )


def check_files(files: Sequence[WeightsFile], where: str) -> None:
    """Refuse names and sizes that no model has, before anything is made of them.

    Raises:
        WeightsError: UnsupportedFormat.
    """
    names = set()
    for file in files:
        try:
            safe_name(file.path)
        except WeightsError as error:
            raise unsupported(f"{where} is refused: {error}") from error
        if file.path.lower() in names:
            raise unsupported(
                f"{where} has the name {file.path[:80]!r} twice, and not every volume tells large "
                "letters from small ones"
            )
        names.add(file.path.lower())
    if any(file.size_bytes < 0 for file in files) or sum(f.size_bytes for f in files) > _LARGEST:
        raise unsupported(f"{where} announces sizes that cannot be right")


def count_text(count: int) -> str:
    """A number of parameters as people write it: 134515008 → "134.52 M"; "" for none."""
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return str(count) if count else ""
