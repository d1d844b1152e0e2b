"""Asks whether the source of a Model that is there has moved, and judges what comes of it.

The operator looks when the annotation `modelrunner.dev/refresh` has a new value, and says so in
`status.source` (docs/guides/sources.md). What serves goes on serving meanwhile.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from modelrunner.api.v1alpha1 import ModelSource
from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.naming import REFRESH_ANNOTATION
from modelrunner.domain.objects import is_true, number, parse_time, text
from modelrunner.domain.refresh import why_fixed
from modelrunner.domain.sources import wire_source
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
from modelrunner.kube.objects import version_number
from modelrunner_protocol.reasons import Reason

PATIENCE: Final = 180.0
"""Seconds until somebody who waits for an answer is told that there is none.

A look is a small Job: a pod has to be placed, and a registry to be asked.
"""

LOOKING: Final = "looking whether the source has moved"
FAILED: Final = "RefreshFailed"
_OURS: Final = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
"""Requests of gateways: moments, all of one width, so that the later one is also the greater text."""

_KEPT: Final = 256
"""Requests of the Models that were asked for last."""

# Of weights that a newer version of the source may mend; of anything else no look is made.
_OF_THE_SOURCE: Final[frozenset[str]] = frozenset({Reason.PULL_FAILED, Reason.UNSUPPORTED_FORMAT})
_OF_THE_SETTINGS: Final[frozenset[str]] = frozenset(
    {Reason.RUNNER_NOT_FOUND, Reason.INVALID_CONFIGURATION, Reason.NAME_CONFLICT}
)


@dataclass(frozen=True, slots=True)
class Request:
    """A look that was asked for: `value` of the annotation, at the object's version `written`.

    `before` is what the Model had then; `said` is what its `status.source` told.
    """

    value: str
    written: int
    before: tuple[str, str]
    said: str = ""


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
    """Asks for looks: each is for all who come before its answer."""

    def __init__(self, objects: ModelObjects) -> None:
        self._objects = objects
        self._writing: dict[str, asyncio.Task[Request]] = {}
        self._asked: OrderedDict[str, Request] = OrderedDict()

    async def ask(self, entry: ModelEntry) -> Request:
        """Ask for a look at a Model's source, or join those who wait for one.

        Raises:
            Refused: the API server says no; the Model is gone.
        """
        before = _holds(entry)
        found = self._pending(entry)
        if found is None:
            # Who was first may leave: the others still wait for what it has begun.
            found = await asyncio.shield(self._written(entry))
        return replace(found, before=before)

    def _pending(self, entry: ModelEntry) -> Request | None:
        """The request of a gateway that has no answer yet."""
        value = entry.refresh
        if not _is_ours(value) or any(_answers(one, value) for one in _answered(entry)):
            return None
        known = self._asked.get(entry.uid)
        if known is not None and known.value == value:
            return known
        return Request(value, version_number(entry.version) or 0, _holds(entry), _said(entry))

    def _written(self, entry: ModelEntry) -> asyncio.Task[Request]:
        """The request that is being written."""
        uid = entry.uid
        found = self._writing.get(uid)
        if found is None:
            found = self._writing[uid] = asyncio.create_task(self._write(entry))
            found.add_done_callback(lambda done: self._done(uid, done))
        return found

    async def _write(self, entry: ModelEntry) -> Request:
        before, said, value = _holds(entry), _said(entry), _next_value(entry)
        after = await self._objects.annotate(entry, REFRESH_ANNOTATION, value)
        written = version_number(text(after, "metadata", "resourceVersion")) or 0
        return Request(value, written, before, said)

    def _done(self, uid: str, done: asyncio.Task[Request]) -> None:
        del self._writing[uid]
        # Asking for the error, too: all who waited may have left.
        if done.cancelled() or done.exception() is not None:
            return
        self._asked[uid] = done.result()
        self._asked.move_to_end(uid)
        if len(self._asked) > _KEPT:
            self._asked.popitem(last=False)


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
        told = _said(entry)
        if entry.trouble is not None and _stuck(entry) in _OF_THE_SETTINGS:
            return Failed(entry.trouble.reason, entry.trouble.message)
        if self._is_answer(entry, "handledRefresh"):
            return Failed(FAILED, told) if told else None
        if number(entry.status, "source", "failures") and self._is_answer(entry, "failedRefresh"):
            return Failed(FAILED, f"{told.rstrip('.')}; it is tried again by itself")
        # What was there before tells of an earlier look.
        news = told if told != self._asked.said else ""
        if self._now() >= self._until:
            cause = f"{news.rstrip('.')}." if news else "is the operator running?"
            why = (
                f"nobody has told for {PATIENCE:g} s whether the source has moved: {cause} The"
                " Model's status.source says when there is an answer. What is here goes on serving"
            )
            return Failed(FAILED, why)
        return Pulling(message=news or LOOKING, troubled=bool(news))

    def _is_answer(self, entry: ModelEntry, kind: str) -> bool:
        answered = text(entry.status, "source", kind)
        if _answers(answered, self._asked.value):
            return True
        # Somebody else has asked anew, or has taken the request back.
        seen = (version_number(entry.version) or 0) >= self._asked.written
        return seen and entry.refresh in {"", answered}


def _is_ours(value: str) -> bool:
    return _OURS.fullmatch(value) is not None and parse_time(value) is not None


def _answers(answered: str, asked: str) -> bool:
    """Whether the answer to one request is one to another.

    Where several gateways ask the operator sees only the newest request: it is for all before it.
    """
    if answered == asked:
        return True
    return answered > asked and _is_ours(answered) and _is_ours(asked)


def _answered(entry: ModelEntry) -> tuple[str, str]:
    """The requests that have an answer: the last one, and the one whose look has failed."""
    failed = text(entry.status, "source", "failedRefresh")
    tried = number(entry.status, "source", "failures")
    return text(entry.status, "source", "handledRefresh"), failed if tried else ""


def _next_value(entry: ModelEntry) -> str:
    """A request later than all that there are, whatever the clocks of other gateways say."""
    known = [one for one in (entry.refresh, *_answered(entry)) if _is_ours(one)]
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    latest = max(known, default="")
    if latest < now:
        return now
    after = datetime.fromisoformat(latest) + timedelta(microseconds=1)
    return after.isoformat(timespec="microseconds")


def _said(entry: ModelEntry) -> str:
    return text(entry.status, "source", "message")


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
