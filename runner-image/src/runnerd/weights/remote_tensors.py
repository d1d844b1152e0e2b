"""Reads what tells a safetensors model somewhere else: headers by ranges, and small files."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights import safetensors, tensor_model
from runnerd.weights.failure import TransientError, WeightsError, unsupported
from runnerd.weights.names import digest_of
from runnerd.weights.remote_range import FileOpener, Head, Opener, read_head
from runnerd.weights.tensor_files import INDEX_LIMIT

T = TypeVar("T")

_FIRST: Final = 256 * 1024
_AT_ONCE: Final = 4


async def read_remote_tensors(
    open_range: Opener, where: str, path: str
) -> Head[safetensors.TensorsHeader]:
    """The header of a safetensors file; of its weights not more than comes along.

    Args:
        open_range: Opens a part of it.
        where: The source in words.
        path: What the source calls the file.

    Raises:
        WeightsError: not a safetensors file, or a server that tells no length.
        TransientError: trying again may help.
    """

    def look(data: bytearray, size: int) -> safetensors.TensorsHeader | int:
        try:
            end = safetensors.header_end(data, size)
            return safetensors.parse(data, size) if len(data) >= end else end
        except safetensors.SafetensorsError as error:
            raise tensor_model.not_tensors(where, path, error) from error

    return await read_head(open_range, f"{where}: {path}", _FIRST, look)


async def read_whole_file(file: WeightsFile, open_file: FileOpener, where: str) -> bytes:
    """A small file, whose size is known.

    Raises:
        WeightsError: it has another size.
        TransientError: trying again may help.
    """
    data = bytearray()
    async with open_file(file) as body:
        async for chunk in body.chunks:
            data += chunk
            if len(data) > file.size_bytes:
                break
    if len(data) > file.size_bytes:
        raise WeightsError(
            f"{where}: {file.path} is longer than its {file.size_bytes} bytes", retryable=True
        )
    if len(data) < file.size_bytes:
        raise TransientError("the server sent fewer bytes than it announced")
    return bytes(data)


async def read_index(file: WeightsFile, open_file: FileOpener, where: str) -> bytes:
    """The index of a model in several files; see `read_whole_file`.

    Raises:
        WeightsError: it is larger than any.
    """
    if file.size_bytes > INDEX_LIMIT:
        raise unsupported(
            f"{where} has an index of {file.size_bytes} bytes, and {INDEX_LIMIT} are the most: it "
            "cannot be right"
        )
    return await read_whole_file(file, open_file, where)


async def read_tensors(
    files: Sequence[WeightsFile], open_file: FileOpener, where: str, digest: str = ""
) -> Artifact:
    """What a safetensors model is, by the headers of all its files and what lies beside them.

    Args:
        files: The model's, in their order, and what belongs to it.
        open_file: Opens one of them.
        where: The source in words.
        digest: What the source calls the artifact; "": it is that of the files.

    Raises:
        WeightsError: no such model.
        TransientError: trying again may help.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def header(file: WeightsFile) -> safetensors.TensorsHeader:
        async with places:
            found = await read_remote_tensors(
                lambda start, stop: open_file(file, start=start, stop=stop), where, file.path
            )
        if found.size != file.size_bytes:
            raise WeightsError(
                f"{where} holds {found.size} bytes of {file.path}, and announces {file.size_bytes}",
                retryable=True,
            )
        return found.header

    weights = [file for file in files if file.kind is FileKind.WEIGHTS]
    headers = await _all(header(file) for file in weights)
    read = {
        file.path: await read_whole_file(file, open_file, where)
        for file in tensor_model.documents(files, where)
    }
    digest = digest or digest_of(files)
    return tensor_model.artifact_of(headers, read, files, where, digest=digest)


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, or the first failure once nothing is at work any more."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
