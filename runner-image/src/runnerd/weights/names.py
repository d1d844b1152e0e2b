"""The names that an artifact's files get in its folder, and the artifact itself. Pure."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from modelrunner_protocol.sources import MANIFEST
from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.failure import WeightsError

PROJECTOR: Final = "model.mmproj"
CHAT_TEMPLATE: Final = "template.jinja"
LICENSE: Final = "LICENSE"

_HOSTILE: Final = re.compile(
    r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|[\x00-\x1f\x7f\ud800-\udfff]"
)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,250}")


def safe_name(name: str) -> str:
    """The name of a file in an artifact's folder, which may lead nowhere else.

    Raises:
        WeightsError: it holds a separator, starts with a dot, or is the manifest's.
    """
    if not is_safe(name):
        raise WeightsError(f"{name[:64]!r} cannot be the name of a weights file")
    return name


def is_safe(name: str) -> bool:
    """Whether a file of an artifact may have this name: see `safe_name`."""
    return _NAME.fullmatch(name) is not None and name != MANIFEST


def leads_out(path: str) -> bool:
    """Whether a path at a source is none that its files have: absolute, upwards, or unprintable."""
    return _HOSTILE.search(path) is not None


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
