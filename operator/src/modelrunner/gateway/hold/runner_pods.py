"""What holding has learned of the endpoints of one model, beyond what the API server says."""

from collections.abc import Sequence

from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.messages import Endpoint, Failure
from modelrunner.gateway.table.entry import ModelEntry

_UNKNOWN_SLOTS = 1
_AHEAD = 2
"""Requests in flight beyond a runner's slots, so that none of them is ever idle."""


class _Pod:
    """One endpoint.

    `listed`: the API server calls it ready; `confirmed`: it told us so itself. `closed`: it refused
    a request as a runner that drains. `asked`: it was asked, whether it answered or not.
    """

    __slots__ = ("asked", "closed", "confirmed", "listed", "slots", "words")

    def __init__(self) -> None:
        self.asked = False
        self.closed = False
        self.confirmed = False
        self.listed = False
        self.slots = _UNKNOWN_SLOTS
        self.words = ""


class RunnerPods:
    """Which endpoints of a model take requests now."""

    def __init__(self, entry: ModelEntry, rests: Rests) -> None:
        self._entry = entry
        self._rests = rests
        self._pods: dict[Endpoint, _Pod] = {}

    def refresh(self) -> None:
        """Take in what the route table says now; `usable` does so by itself."""
        entry, before = self._entry, self._pods
        self._pods = {
            endpoint: before.get(endpoint) or _Pod() for endpoint in (*entry.ready, *entry.starting)
        }
        for endpoint in entry.ready:
            self._pods[endpoint].listed = True
        for endpoint in entry.starting:
            pod = self._pods[endpoint]
            if pod.listed:
                # It was ready and is no more: what it told us is out of date.
                pod.listed = pod.confirmed = False

    def usable(self, now: float) -> list[Endpoint]:
        """Endpoints that take requests."""
        self.refresh()
        ready, starting = self._entry.ready, self._entry.starting
        found = [one for one in ready if one.rests_until <= now and not self._pods[one].closed]
        found += [one for one in starting if one.rests_until <= now and self._pods[one].confirmed]
        return found

    def unknown(self, now: float) -> list[Endpoint]:
        """Endpoints to be asked whether they are ready, or how many slots they have."""
        usable = set(self.usable(now))
        return [one for one, pod in self._pods.items() if one not in usable or not pod.asked]

    def room(self, endpoint: Endpoint) -> int:
        """How many more requests may be released to an endpoint."""
        return self._pods[endpoint].slots + _AHEAD - endpoint.in_flight

    def words(self) -> Sequence[str]:
        """What those that are not ready said of themselves."""
        return [pod.words for pod in self._pods.values()]

    def failed(self, endpoint: Endpoint, failure: Failure, now: float) -> None:
        """A request got no answer from there."""
        self._rests.failed(endpoint, now)
        if pod := self._pods.get(endpoint):
            pod.confirmed = False
            pod.closed = failure is Failure.DRAINING

    def learned(self, endpoint: Endpoint, found: Readiness, now: float) -> bool:
        """It answered our question, or did not; whether it need not be asked again."""
        pod = self._pods.get(endpoint)
        if pod is None:
            return True
        pod.asked = True
        pod.words = found.words
        if found.slots is not None:
            pod.slots = found.slots
        if found.ready and (self._rests.lifted(endpoint) or endpoint.rests_until <= now):
            pod.confirmed, pod.closed = True, False
        return not self._is_unknown(endpoint, pod, now)

    def _is_unknown(self, endpoint: Endpoint, pod: _Pod, now: float) -> bool:
        trusted = pod.confirmed or (pod.listed and not pod.closed)
        return endpoint.rests_until > now or not trusted
