"""The names that an artifact's files get in its folder, and the artifact itself. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from modelrunner_protocol.wire import WeightsFile

PROJECTOR: Final = "model.mmproj"
CHAT_TEMPLATE: Final = "template.jinja"
LICENSE: Final = "LICENSE"


def weight_names(count: int) -> tuple[str, ...]:
    """Of one file, or of so many shards in their order, as llama.cpp names them."""
    if count == 1:
        return ("model.gguf",)
    return tuple(f"model-{i:05d}-of-{count:05d}.gguf" for i in range(1, count + 1))


def digest_of(files: Sequence[WeightsFile]) -> str:
    """One name for all bytes, "sha256:…": equal files have it, wherever they are from.

    "" while the sha256 of a file is not known.
    """
    if not all(file.sha256 for file in files):
        return ""
    if len(files) == 1:
        return f"sha256:{files[0].sha256}"
    text = "".join(f"{file.path} {file.sha256}\n" for file in files)
    return f"sha256:{sha256(text.encode()).hexdigest()}"
