"""How long an answer took, and how many tokens it was. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_PER_MILLISECOND: Final = 1_000_000


@dataclass(slots=True)
class Course:
    """Points in time of one request, in nanoseconds of one clock; 0: it has not come to that."""

    arrived: int
    asked: int = 0
    first: int = 0
    ended: int = 0


def counters(
    course: Course, usage: Mapping[str, Any] | None, timings: Mapping[str, Any] | None
) -> dict[str, int]:
    """The counters of the last object of an answer.

    `load_duration` is the wait for the engine's turn: the model itself is loaded before a
    request gets here. Without the engine's own timings its durations are what was seen.
    """
    usage, timings = usage or {}, timings or {}
    first = course.first or course.ended
    return {
        "total_duration": max(0, course.ended - course.arrived),
        "load_duration": max(0, course.asked - course.arrived),
        "prompt_eval_count": _count(usage.get("prompt_tokens"), timings.get("prompt_n")),
        "prompt_eval_duration": _duration(timings.get("prompt_ms"), first - course.asked),
        "eval_count": _count(usage.get("completion_tokens"), timings.get("predicted_n")),
        "eval_duration": _duration(timings.get("predicted_ms"), course.ended - first),
    }


def _count(*found: Any) -> int:
    return next((int(one) for one in found if isinstance(one, int | float)), 0)


def _duration(milliseconds: Any, seen: int) -> int:
    if isinstance(milliseconds, int | float):
        return max(0, round(milliseconds * _PER_MILLISECOND))
    return max(0, seen)
