"""Reads the GGUF header of a file on a volume."""

from pathlib import Path

from runnerd.weights import formats, gguf
from runnerd.weights.failure import unsupported


def read_header(path: Path, where: str) -> gguf.GgufHeader:
    """The header of the GGUF model at `path`; at most 32 MiB are read.

    Raises:
        WeightsError: not a GGUF model; `where` names the file in the message.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise unsupported(f"{where} is empty")
        try:
            header = gguf.read(file)
        except gguf.GgufError as error:
            file.seek(0)
            raise formats.not_gguf(where, file.read(64), error) from error
    formats.check_model(where, header)
    return header
