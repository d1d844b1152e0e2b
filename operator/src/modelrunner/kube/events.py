"""Events that tell people what happened: events.k8s.io/v1, as series, at a bounded rate."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import uuid4

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import KubeError, NotFound
from modelrunner.kube.objects import KubeObject, name_of, namespace_of, uid_of
from modelrunner.kube.resources import EVENTS

EventType = Literal["Normal", "Warning"]

_log = logging.getLogger(__name__)
_REMEMBERED: Final = 4096
_REASON: Final = 128  # limits of the API
_NOTE: Final = 1024
_SERIES_SECONDS: Final = 360.0  # as in client-go: a longer silence starts a new series
_BURST: Final = 25.0  # as in client-go's spam filter, per object
_REFILL_PER_SECOND: Final = 1 / 300


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last: float
    reported: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class EventRecorder:
    """Writes events; never raises and never waits longer than one request.

    The same (object, type, reason, action, note) again within six minutes becomes a series whose
    count is brought up to date at most every `series_interval` seconds. More than 25 writes for
    one object in a burst are dropped, then one every five minutes.
    """

    def __init__(
        self,
        client: KubeClient,
        reporting_controller: str,
        instance: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
        monotonic: Callable[[], float] | None = None,
        series_interval: float = 10.0,
    ) -> None:
        self._client = client
        self._controller = reporting_controller
        self._instance = instance[:_REASON]
        self._now = now
        self._monotonic = monotonic or (lambda: asyncio.get_running_loop().time())
        self._interval = series_interval
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def record(
        self,
        regarding: Mapping[str, Any],
        *,
        type: EventType,  # noqa: A002 - the API's own word for it
        reason: str,
        note: str,
        action: str,
    ) -> None:
        """Tell that `reason` happened to the object `regarding` while the operator did `action`.

        `note` is for people, at most 1024 characters are kept; `reason` and `action` are words.
        """
        try:
            await self._record(dict(regarding), type, reason[:_REASON], note, action[:_REASON])
        except (KubeError, OSError, ValueError) as error:
            # An event is never worth a failed reconcile.
            _log.info("the event %s of %s was not written: %s", reason, name_of(regarding), error)

    async def _record(
        self, regarding: KubeObject, kind: str, reason: str, note: str, action: str
    ) -> None:
        note = note if len(note) <= _NOTE else note[: _NOTE - 1] + "…"
        key = (uid_of(regarding) or name_of(regarding), kind, reason, action, note)
        now = self._monotonic()
        known = self._series.get(key)
        if known is not None and now - known.last < _SERIES_SECONDS:
            self._series.move_to_end(key)
            known.count += 1
            known.last = now
            if now - known.reported < self._interval or not self._allowed(key[0], now):
                return
            known.reported = now
            if await self._extend(regarding, known):
                return
        elif not self._allowed(key[0], now):
            return
        name = f"{name_of(regarding)[:200]}.{uuid4().hex[:16]}"
        self._series[key] = _Series(name, 1, now, now)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)
        await self._create(regarding, name, kind, reason, note, action)

    async def _create(
        self, regarding: KubeObject, name: str, kind: str, reason: str, note: str, action: str
    ) -> None:
        namespace = namespace_of(regarding) or "default"
        body = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": self._time(),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": regarding.get("apiVersion"),
                "kind": regarding.get("kind"),
                "namespace": namespace_of(regarding),
                "name": name_of(regarding),
                "uid": uid_of(regarding),
            },
            "type": kind,
            "reason": reason,
            "note": note,
            "action": action,
        }
        await self._client.create(EVENTS, namespace, body, field_manager=self._controller)

    async def _extend(self, regarding: KubeObject, series: _Series) -> bool:
        """Bring the stored count up to date; False when the event has expired on the server."""
        told = {"count": series.count, "lastObservedTime": self._time()}
        try:
            await self._client.merge_patch(
                EVENTS,
                namespace_of(regarding) or "default",
                series.name,
                {"series": told},
                field_manager=self._controller,
            )
        except NotFound:
            return False
        return True

    def _allowed(self, who: str, now: float) -> bool:
        bucket = self._buckets.pop(who, None) or _Bucket(_BURST, now)
        bucket.tokens = min(_BURST, bucket.tokens + (now - bucket.at) * _REFILL_PER_SECOND)
        bucket.at = now
        self._buckets[who] = bucket
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _time(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
