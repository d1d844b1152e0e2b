"""Everything one reconcile of a Model looks at, as a value."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from modelrunner.domain.drafts import DraftFacts
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobView, look_at_job
from modelrunner.domain.names import Claimant
from modelrunner.domain.objects import Object
from modelrunner.domain.problem import Problem
from modelrunner.domain.scaling import Demand
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import Limit
from modelrunner.render.common import Owner
from modelrunner_protocol.runner import RunnerStatus
from modelrunner_protocol.wire import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAndPods:
    """A Job with the pods it has started; `refused` is why it may not start one."""

    job: Object
    pods: Sequence[Object] = ()
    refused: str = ""

    def view(self, now: float) -> JobView:
        """How far it is, at `now` (epoch seconds)."""
        return look_at_job(self.job, self.pods, now=now, refused=self.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one Model at `now` (epoch seconds).

    `settings` None: nothing can be done, and `problem` says why. `sharers` are the Models with an
    equal source, this one included; `claim_owners` those that own the cache claim (empty: it is
    retained). `recorded_by` are the Deployments of sharers, `stale_jobs` Jobs that only this Model
    owns and that pull something it no longer wants. `statuses` is what pods said, by uid: None
    where one gave no answer. `doorless`, `demand`, `used` and `written_at` are remembered (see
    Record). `lost_names`: names that older Models have. `draft`: the Model that is to write ahead.
    `verify` is the Job that verifies the cache. `refresh` is the look at whether the source has moved, `moved_from` the version that was wanted
    until this very look; `versions` are our own claims of the source's other versions, `unused` the
    names of those that nobody uses.
    `claim` is our own cache claim, `their_claim` the one that users made instead. `neighbours` are
    pods of whatever Model that mount it. `unbound`: what was said of our claim that gets no volume. `limit` and `reach`: how many runners it carries.
    """

    now: float
    model: Object
    settings: Effective | None = None
    problem: Problem | None = None
    sharers: Sequence[Owner] = ()
    claim_owners: Sequence[Owner] = ()
    claim: Object | None = None
    their_claim: Object | None = None
    unbound: str = ""
    neighbours: Sequence[Object] = ()
    deployment: Object | None = None
    service: Object | None = None
    recorded_by: Sequence[Object] = field(default=())
    resolve: JobAndPods | None = None
    pull: JobAndPods | None = None
    verify: JobAndPods | None = None
    refresh: JobAndPods | None = None
    versions: Sequence[Object] = ()
    unused: Collection[str] = ()
    moved_from: str | None = None
    stale_jobs: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    statuses: Mapping[str, RunnerStatus | None] = field(default_factory=dict)
    doorless: Collection[str] = ()
    demand: Demand = field(default_factory=Demand)
    used: float | None = None
    written_at: float = 0.0
    lost_names: Sequence[tuple[str, Claimant]] = ()
    progress: Progress | None = None
    draft: DraftFacts | None = None
    limit: Limit | None = None
    reach: Reach = Reach.ANYWHERE
