"""What controllers say of our Jobs and claims that make no way: nothing but events tells it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from modelrunner.domain.admission import REFUSED_POD, refusal_of, unbound_reason
from modelrunner.domain.objects import Object, being_deleted, created_at, number, text
from modelrunner.domain.volumes import is_unbound
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import KubeError
from modelrunner.kube.resources import EVENTS
from modelrunner.reconcilers.observation import JobAndPods

POD_COMES: Final = 1.0
"""Seconds in which nobody asks why a Job has no pod yet."""

VOLUME_COMES: Final = 5.0
"""The same of a claim without a volume."""

LASTS: Final = 2.0
"""Seconds for which a list of events is good: the server reads all of a namespace for each."""

_OF_JOBS: Final = f"reason={REFUSED_POD},regarding.kind=Job"
_OF_CLAIMS: Final = "regarding.kind=PersistentVolumeClaim"
_NAMESPACES: Final = 100


@dataclass(frozen=True, slots=True)
class Complaints:
    """Lists events, one list for all who ask about a namespace in the same moment.

    They are words beside a state that is known without them, so no failure to get them stops
    anybody: a role of an older chart may not list them, and events may have a server of their own.
    """

    client: KubeClient
    heard: dict[tuple[str, str], tuple[float, Sequence[Object]]] = field(default_factory=dict)

    async def of_job(self, found: JobAndPods, now: float) -> JobAndPods:
        """A Job with what the API server said to its pod, if it never had one."""
        job = found.job
        if found.pods or being_deleted(job) or now - created_at(job) < POD_COMES:
            return found
        if number(job, "status", "active") or number(job, "status", "failed"):
            return found
        return replace(found, refused=refusal_of(job, await self._heard(job, _OF_JOBS, now), now))

    async def of_claim(self, claim: Object | None, now: float) -> str:
        """What was said of a claim that has no volume for longer than it takes."""
        if claim is None or not is_unbound(claim) or now - created_at(claim) < VOLUME_COMES:
            return ""
        return unbound_reason(claim, await self._heard(claim, _OF_CLAIMS, now))

    async def _heard(self, about: Object, selector: str, now: float) -> Sequence[Object]:
        place = text(about, "metadata", "namespace"), selector
        known = self.heard.get(place)
        if known is not None and 0 <= now - known[0] < LASTS:
            return known[1]
        try:
            found: Sequence[Object] = await self.client.list(
                EVENTS, place[0], field_selector=selector
            )
        except KubeError:
            found = ()
        if len(self.heard) >= _NAMESPACES:
            self.heard.clear()
        self.heard[place] = (now, found)
        return found
