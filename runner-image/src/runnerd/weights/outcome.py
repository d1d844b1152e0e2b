"""The termination message: how a resolve or a pull ended."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import TERMINATION_LOG, TERMINATION_LOG_LIMIT, FileKind, Outcome
from runnerd.weights.settings import TERMINATION_LOG as VARIABLE

logger = logging.getLogger(__name__)


_NAMED = 8


def fitted(outcome: Outcome, limit: int = TERMINATION_LOG_LIMIT) -> str:
    """The outcome as JSON of at most `limit` bytes: the message is shortened, then left out.

    The kubelet would cut the text anywhere, and half of a JSON object says nothing.
    """
    message = outcome.message.encode("utf-8", "replace").decode()
    outcome = _with_fewer_files(replace(outcome, message=message), limit)
    text = encode(outcome)
    shortest, longest = 0, len(message)
    while len(text.encode()) > limit and shortest < longest:
        # Escapes make a character up to six bytes, so the length is searched for.
        middle = (shortest + longest) // 2
        candidate = encode(replace(outcome, message=message[:middle] + "…"))
        if len(candidate.encode()) <= limit:
            shortest = middle + 1
        else:
            longest = middle
        if shortest >= longest:
            text = encode(replace(outcome, message=message[: max(0, shortest - 1)] + "…"))
    if len(text.encode()) > limit:
        text = encode(replace(outcome, message="", artifact=None))
    return text


def _with_fewer_files(outcome: Outcome, limit: int) -> Outcome:
    """Of an artifact with very many files only those that others have to know by name.

    Its digest names the rest, which the source is asked for again.
    """
    artifact = outcome.artifact
    if artifact is None or len(encode(outcome).encode()) <= limit:
        return outcome
    first, *others = artifact.files
    named = (first, *(file for file in others if file.kind is not FileKind.WEIGHTS))
    return replace(outcome, artifact=replace(artifact, files=named[:_NAMED]))


def write(outcome: Outcome, environment: Mapping[str, str]) -> None:
    """Leave the outcome where the kubelet reads it; only log when there is no such place."""
    named = environment.get(VARIABLE, "")
    path = Path(named or TERMINATION_LOG)
    # Outside of a container nobody made the file, and /dev is no place to make one.
    flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | (os.O_CREAT if named else 0)
    try:
        handle = os.open(path, flags, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(fitted(outcome).encode())
    except OSError as error:
        logger.debug("no termination message at %s: %s", path, error.strerror)
