"""What a pull notes beside a file that it has not finished."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runnerd.weights.ranges import Ranges

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class State:
    """What an earlier pull noted: `held` is None when its bytes came in order."""

    validator: str
    size: int
    held: Ranges | None


def read_state(path: Path) -> State | None:
    """What an earlier pull noted; None if there was none or it cannot be relied upon."""
    try:
        data = json.loads(path.read_text("utf-8"))
        validator, size = data["validator"], data["size"]
        held = data.get("held")
        ranges = None if held is None else Ranges((int(a), int(b)) for a, b in held)
        then = data.get("boot", "")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    if not isinstance(validator, str) or not isinstance(size, int):
        return None
    if ranges is not None and then not in {"", boot()}:
        return None
    return State(validator, size, ranges)


def boot() -> str:
    """Which run of the machine this is."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return "unknown"
