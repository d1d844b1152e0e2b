"""Leader election by a Lease: one operator acts, the others wait.

Times are measured with the loop's monotonic clock from what this process saw itself, so clocks
that differ between nodes do no harm: a candidate takes the lease only when it has not seen it
change for its whole duration; a leader gives up earlier than that (`renew_deadline`).
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelrunner.domain.naming import FIELD_MANAGER
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Conflict, KubeError, NotFound
from modelrunner.kube.resources import LEASES

_log = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - an event of the protocol, named by what happened
    """Leadership is over: another one has the lease, or it could not be renewed in time."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds. The defaults are those of Kubernetes' own controllers."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError("needs lease duration > renew deadline > retry period > 0")


class LeaderElector:
    """A candidate for one Lease. `identity` is unique per process, not per pod name."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes | None = None,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times or LeaseTimes()
        self._jitter = jitter
        self._now = now
        self._lease: dict[str, Any] | None = None
        self._seen_version = ""
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self._leading = False
        self._trouble = ""

    @property
    def leading(self) -> bool:
        """Whether this process is the leader, as far as it may believe so."""
        return self._leading and self._clock() - self._renewed_at < self._times.renew_deadline

    async def acquire(self) -> None:
        """Wait until this process leads, however long that takes and whatever fails."""
        while True:
            if await self._attempt():
                return
            # Jitter keeps candidates that started together from asking together.
            await asyncio.sleep(self._times.retry_period * (1.0 + 0.2 * self._jitter()))

    async def hold(self) -> None:
        """Renew the lease for as long as it can be renewed.

        An API server that is away for less than `renew_deadline` is survived.

        Raises:
            LeaseLost: always, in the end.
        """
        while self._leading:
            await asyncio.sleep(self._times.retry_period)
            if not await self._attempt():
                self._check_deadline()
        raise LeaseLost("another process holds the lease")

    async def release(self) -> None:
        """Hand the lease over: the next candidate need not wait for it to expire."""
        if not self._leading:
            return
        self._leading = False
        spec = (self._lease or {}).get("spec") or {}
        free = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}
        try:
            async with asyncio.timeout(self._times.retry_period):
                await self._write({**spec, **free})
        except (KubeError, TimeoutError) as error:
            _log.warning("the lease was not released and will expire by itself: %s", error)

    def _check_deadline(self) -> None:
        age = self._clock() - self._renewed_at
        if self._leading and age >= self._times.renew_deadline:
            self._leading = False
            raise LeaseLost(f"the lease could not be renewed for {age:.1f} s")

    async def _attempt(self) -> bool:
        """One try to get or keep the lease; whether it worked."""
        started = self._clock()
        try:
            async with asyncio.timeout(self._patience(started)):
                won = await self._try()
        except (Conflict, NotFound):
            # Somebody wrote or deleted it since we read: read again next time.
            self._lease = None
            return False
        except (KubeError, TimeoutError) as error:
            self._tell(f"{type(error).__name__}: {error}")
            return False
        self._tell("")
        if won:
            # From before the request: the server counts from a later moment.
            self._renewed_at = started
        self._leading = won
        return won

    async def _try(self) -> bool:
        if not self._leading or self._lease is None:
            self._lease = await self._client.get(LEASES, self._namespace, self._name)
            self._observe()
        if self._lease is None:
            self._lease = await self._client.create(
                LEASES, self._namespace, self._body(self._claim({})), field_manager=FIELD_MANAGER
            )
            return True
        spec = self._lease.get("spec") or {}
        if spec.get("holderIdentity") != self._identity and not self._expired(spec):
            return False
        await self._write(self._claim(spec))
        return True

    def _patience(self, started: float) -> float:
        """Seconds one attempt may take: a leader keeps time for a second one."""
        whole = self._times.renew_deadline
        left = self._renewed_at + whole - started if self._leading else whole
        return max(0.1, min(left, whole / 2))

    def _observe(self) -> None:
        """Note when the lease was last seen to change, by our own clock."""
        version = str(((self._lease or {}).get("metadata") or {}).get("resourceVersion") or "")
        if version != self._seen_version:
            self._seen_version = version
            self._seen_at = self._clock()

    def _expired(self, spec: Mapping[str, Any]) -> bool:
        if not spec.get("holderIdentity"):
            return True
        duration = float(spec.get("leaseDurationSeconds") or self._times.duration)
        return self._clock() - self._seen_at >= duration

    def _claim(self, before: Mapping[str, Any]) -> dict[str, Any]:
        now = self._time()
        mine = before.get("holderIdentity") == self._identity
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            **before,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.duration)),
            "acquireTime": (before.get("acquireTime") or now) if mine else now,
            "renewTime": now,
            "leaseTransitions": transitions if mine or not before else transitions + 1,
        }

    def _body(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        known = ((self._lease or {}).get("metadata") or {}).get("resourceVersion")
        guard = {"resourceVersion": known} if known else {}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace, **guard},
            "spec": dict(spec),
        }

    async def _write(self, spec: Mapping[str, Any]) -> None:
        self._lease = await self._client.update(
            LEASES, self._namespace, self._name, self._body(spec), field_manager=FIELD_MANAGER
        )

    def _tell(self, trouble: str) -> None:
        """Log a trouble once, not at every attempt."""
        if trouble and trouble != self._trouble:
            _log.warning("the lease %s/%s: %s", self._namespace, self._name, trouble)
        self._trouble = trouble

    def _time(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()
