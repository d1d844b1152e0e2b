"""Asks whether the source of a Model that is there has moved, and judges what comes of it.

The operator looks when the annotation `modelrunner.dev/refresh` has a new value, and says so in
`status.source` (docs/guides/sources.md). What serves goes on serving meanwhile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from modelrunner.api.v1alpha1 import ModelSource
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.naming import REFRESH_ANNOTATION
from modelrunner.domain.objects import dig, is_true, number, text
from modelrunner.domain.refresh import why_fixed
from modelrunner.domain.sources import wire_source
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.objects import ModelObjects
from modelrunner.gateway.management.progress import (
    Failed,
    Progress,
    Pulled,
    Pulling,
    progress_of,
    stalled,
)
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.kube.errors import Invalid
from modelrunner.kube.objects import version_number
from modelrunner_protocol.reasons import Reason

PATIENCE: Final = 180.0
"""Seconds until somebody who waits for an answer is told that there is none.

A look is a small Job: a pod has to be placed, and a registry to be asked.
"""

LOOKING: Final = "looking whether the source has moved"
FAILED: Final = "RefreshFailed"
_TRIES: Final = 5
_ANNOTATIONS: Final = "/metadata/annotations"
_ANNOTATION: Final = f"{_ANNOTATIONS}/{REFRESH_ANNOTATION.replace('/', '~1')}"

# Of weights that a newer version of the source may mend; of anything else no look is made.
_OF_THE_SOURCE: Final[frozenset[str]] = frozenset({Reason.PULL_FAILED, Reason.UNSUPPORTED_FORMAT})
_OF_THE_SETTINGS: Final[frozenset[str]] = frozenset(
    {Reason.RUNNER_NOT_FOUND, Reason.INVALID_CONFIGURATION, Reason.NAME_CONFLICT}
)


@dataclass(frozen=True, slots=True)
class Request:
    """A look that was asked for: `value` of the annotation, at the object's version `written`.

    `before` is what the Model had then.
    """

    value: str
    written: int
    before: tuple[str, str]


def can_move(entry: ModelEntry) -> bool:
    """Whether it makes sense to look: the operator would, and the source may hold something else."""
    stuck = _stuck(entry)
    if stuck in _OF_THE_SETTINGS or not (_is_cached(entry) or stuck in _OF_THE_SOURCE):
        return False
    try:
        source = ModelSource.model_validate(entry.spec.get("source"))
    except ValidationError:
        return False
    return not why_fixed(wire_source(source))


class Refreshing:
    """Asks for looks."""

    def __init__(self, objects: ModelObjects) -> None:
        self._objects = objects

    async def ask(self, entry: ModelEntry) -> Request:
        """Ask for a look at a Model's source.

        Raises:
            Refused: the API server says no; the Model is gone.
        """
        before = _holds(entry)
        value = datetime.now(UTC).isoformat()
        for _ in range(_TRIES):
            live = await self._objects.live(entry)
            operations: list[dict[str, Any]] = [{"op": "add", "path": _ANNOTATION, "value": value}]
            if not isinstance(dig(live, "metadata", "annotations"), Mapping):
                operations.insert(0, {"op": "add", "path": _ANNOTATIONS, "value": {}})
            with self._objects.told("patch", entry.namespace, entry.name):
                try:
                    after = await self._objects.patch(live, operations)
                except Invalid:
                    continue
            written = version_number(text(after, "metadata", "resourceVersion")) or 0
            return Request(value, written, before)
        told = f"Somebody else changes the Model {entry.path} all the time; try again"
        raise Refused(409, "conflict", told)


class Judge:
    """What a client is told after a look was asked for; `now` is a clock in seconds."""

    def __init__(self, asked: Request, now: Callable[[], float]) -> None:
        self._asked = asked
        self._now = now
        self._until = now() + PATIENCE
        self._answered = False

    def __call__(self, entry: ModelEntry | None) -> Progress:
        """How far it is. The end: up to date, pulled, or why neither can be."""
        if entry is not None and not entry.gone and not self._answered:
            found = self._answer(entry)
            if found is not None:
                return found
            self._answered = True
        found = progress_of(entry)
        if entry is not None and isinstance(found, Pulled):
            return replace(found, here=_holds(entry) == self._asked.before)
        return found

    def _answer(self, entry: ModelEntry) -> Progress | None:
        """Until the look has ended well; None: it has."""
        told = text(entry.status, "source", "message")
        if entry.trouble is not None and _stuck(entry) in _OF_THE_SETTINGS:
            return Failed(entry.trouble.reason, entry.trouble.message)
        if self._is_answer(entry, "handledRefresh"):
            return Failed(FAILED, told) if told else None
        if number(entry.status, "source", "failures") and self._is_answer(entry, "failedRefresh"):
            return Failed(FAILED, f"{told.rstrip('.')}; it is tried again by itself")
        if self._now() >= self._until:
            why = (
                f"nobody has told for {PATIENCE:g} s whether the source has moved: is the operator"
                " running? The Model's status.source says when there is an answer. What is here"
                " goes on serving"
            )
            return Failed(FAILED, why)
        return Pulling(message=LOOKING)

    def _is_answer(self, entry: ModelEntry, kind: str) -> bool:
        answered = text(entry.status, "source", kind)
        if answered == self._asked.value:
            return True
        # Somebody else has asked anew, or has taken the request back.
        seen = (version_number(entry.version) or 0) >= self._asked.written
        return seen and entry.refresh in {"", answered}


def _stuck(entry: ModelEntry) -> str:
    """Why nothing goes on until somebody acts, as the reason; "" when something does."""
    trouble = entry.trouble
    if trouble is not None:
        return trouble.reason if trouble.hopeless else ""
    # It serves, with former settings or weights.
    found = stalled(entry)
    return found.reason if found is not None else ""


def _is_cached(entry: ModelEntry) -> bool:
    return is_true({"status": entry.status}, ConditionType.CACHED)


def _holds(entry: ModelEntry) -> tuple[str, str]:
    """What tells one version from another. The first has its source's own name, or yet none."""
    first, key = (text(entry.status, "source", name) for name in ("sourceKey", "key"))
    return "" if key == first else key, text(entry.status, "artifact", "digest")
