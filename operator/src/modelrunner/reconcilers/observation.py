"""Everything one reconcile of a Model looks at, as a value."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelrunner.domain.effective import Effective
from modelrunner.domain.objects import Object
from modelrunner.domain.problem import Problem
from modelrunner.render.objects import Owner
from modelrunner_protocol.wire import Progress, RunnerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAndPods:
    """A Job with the pods it has started."""

    job: Object
    pods: Sequence[Object] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one Model at `now` (epoch seconds).

    `settings` None: nothing can be done, and `problem` says why. `sharers` are the Models with an
    equal source, this one included; `claim_owners` those that own the cache claim (empty: it is
    retained). `recorded_by` are the Deployments of sharers, `stale_jobs` Jobs that only this Model
    owns and that pull something it no longer wants.
    """

    now: float
    model: Object
    settings: Effective | None = None
    problem: Problem | None = None
    sharers: Sequence[Owner] = ()
    claim_owners: Sequence[Owner] = ()
    claim: Object | None = None
    deployment: Object | None = None
    service: Object | None = None
    recorded_by: Sequence[Object] = field(default=())
    resolve: JobAndPods | None = None
    pull: JobAndPods | None = None
    stale_jobs: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    runner_status: RunnerStatus | None = None
    progress: Progress | None = None
