"""Reads the GGUF header of a file on a volume."""

from pathlib import Path
from typing import Final

from runnerd.weights import formats, gguf
from runnerd.weights.failure import unsupported

_FIRST: Final = 2 * 1024 * 1024


def read_header(path: Path, where: str) -> gguf.GgufHeader:
    """The header of the GGUF model at `path`; at most 32 MiB are read.

    Raises:
        WeightsError: not a GGUF model; `where` names the file in the message.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size == 0:
            raise unsupported(f"{where} is empty")
        file.seek(0)
        data = bytearray()
        while True:
            data += file.read(min(max(_FIRST, len(data) * 3), gguf.HEADER_LIMIT - len(data)))
            try:
                header = gguf.parse(data, size)
            except gguf.TruncatedError:
                continue
            except gguf.GgufError as error:
                raise formats.not_gguf(where, bytes(data[:64]), error) from error
            formats.check_model(where, header)
            return header
