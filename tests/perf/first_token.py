"""When a chat's stream begins to say something."""

import json
from collections.abc import Iterable

from tests.cluster.errors import ClusterError


def read_first_token(lines: Iterable[str]) -> None:
    """Read lines until an event brings text, and leave the rest to come.

    Raises:
        ClusterError: the stream ends before.
    """
    for line in lines:
        if line.startswith("data: {") and has_text(line.removeprefix("data: ")):
            return
    raise ClusterError("the stream ended without a token")


def has_text(event: str) -> bool:
    """Whether an event of a chat's stream brings text; the first one only names the role."""
    choices = json.loads(event).get("choices") or [{}]
    return bool(choices[0].get("delta", {}).get("content"))
