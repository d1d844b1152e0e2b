"""Reads the header of a model file somewhere else, by ranges: GGUF here, others by name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights import formats, gguf
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.names import digest_of
from runnerd.weights.remote_range import FileOpener, Head, Opener, read_head
from runnerd.weights.remote_tensors import read_tensors
from runnerd.weights.tensor_files import is_tensors

FIRST_HEADER_READ: Final = 2 * 1024 * 1024
"""Bytes that are asked for first; the header of a model with 49,000 tokens fits."""


async def read_remote_header(open_range: Opener, where: str) -> Head[gguf.GgufHeader]:
    """The header of a GGUF model; of its weights not more than comes along.

    Raises:
        WeightsError: not a GGUF model, or a server that tells no length.
        TransientError: trying again may help.
    """

    def look(data: bytearray, size: int) -> gguf.GgufHeader | int:
        try:
            header = gguf.parse(data, size)
        except gguf.TruncatedError:
            # Each look starts from the beginning, so only after the prefix has grown fourfold.
            return min(len(data) * 4, gguf.HEADER_LIMIT)
        except gguf.GgufError as error:
            raise formats.not_gguf(where, bytes(data[:64]), error) from error
        formats.check_model(where, header)
        return header

    return await read_head(open_range, where, FIRST_HEADER_READ, look)


async def read_artifact(
    files: Sequence[WeightsFile], open_file: FileOpener, where: str, path: str
) -> Artifact:
    """What files that were chosen by their names are, by their headers.

    Args:
        files: The model's, in their order, and what belongs to it.
        open_file: Opens one of them.
        where: The source in words.
        path: What the source calls the first file.

    Raises:
        WeightsError: no model, or not the parts that it says.
        TransientError: trying again may help.
    """
    formats.check_files(files, where)
    if is_tensors(files[0].path):
        return await read_tensors(files, open_file, where)
    found = await read_remote_header(
        lambda start, stop: open_file(files[0], start=start, stop=stop), where
    )
    if found.size != files[0].size_bytes:
        raise WeightsError(
            f"{where} holds {found.size} bytes of {path}, and announces {files[0].size_bytes}",
            retryable=True,
        )
    shards = sum(file.kind is FileKind.WEIGHTS for file in files)
    if found.header.shards != shards:
        raise unsupported(
            f"{where}: {path} is one of {found.header.shards} parts of a split model, and {shards} "
            "were found by their names"
        )
    artifact = formats.artifact_of(found.header, tuple(files), digest=digest_of(files))
    # Of a split model the header tells a part only; the whole is counted once it is here.
    return replace(artifact, parameters="") if shards > 1 else artifact
