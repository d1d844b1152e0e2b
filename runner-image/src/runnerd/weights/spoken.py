"""How commands by hand tell what they did: in words for people, or as JSON lines."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from runnerd.weights.disk import size_text


def say(line: str) -> None:
    """One line, at once: whoever reads along waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fail(command: str, message: str, status: int, *, as_json: bool) -> int:
    """Tell why `runnerd <command>` failed; the exit status."""
    if as_json:
        say(json.dumps({"error": message}))
    else:
        sys.stderr.write(f"runnerd {command}: {message}\n")
    return status


def why(error: Exception) -> str:
    """What went wrong; of the system's own errors the words, without their number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def artifact_words(told: Mapping[str, Any], how: str) -> str:
    """What came where: the source, what it is, and a line for each file.

    Args:
        told: With `source`, `folder` and `artifact`, as a command tells it in JSON.
        how: How it came.
    """
    artifact = told["artifact"]
    what = " ".join(filter(None, map(artifact.get, ("architecture", "parameters", "quantization"))))
    size = size_text(artifact["sizeBytes"])
    files = "".join(f"\n  {told['folder']}/{file['path']}" for file in artifact["files"])
    return f"{told['source']}: {what}, {size} ({how}){files}"
