"""How many runners a model should have now, and by which way. Pure (DESIGN §6).

Down only by a door: a runner that may go is asked to refuse new requests, and only what has
agreed to is taken away. Whatever is not known keeps everything as it is.

    asleep ──Grow──▶ minReplicas          the gateway alone wakes 0→1
    idle   ──Sleep─▶ 0                    all doors closed at once, then scaled
    demand ──Grow──▶ n                    at once, but never for a queue that grew while cold
           ──Retire▶ n-1                  after a window of lower demand, one runner at a time
"""

from dataclasses import dataclass
from typing import Final

from modelrunner.domain.effective import ScalingSettings
from modelrunner.domain.fleet import Fleet, Runner
from modelrunner_protocol.durations import NEVER, format_duration

POLL: Final = 10.0
"""Seconds between two looks at runners that may change how many there are."""

REST: Final = 60.0
"""The same where only a request's own keep_alive could change that."""

DRAINING: Final = 2.0
"""The same while a runner finishes its last requests."""

GRACE: Final = 60.0
"""Seconds that a runner stays which nobody has used since its engine started.

Else a model with keepAlive 0 would go again before the request that woke it reaches it.
"""

WINDOW: Final = 300.0
"""Seconds of lower demand after which a runner goes."""

SETTLE: Final = 10.0
"""Seconds after an engine's start in which what has gathered before it is no demand."""

_GAP: Final = 3 * POLL
_FOREVER: Final = 1e9  # 31 years; what is longer has no date


@dataclass(frozen=True, slots=True)
class Demand:
    """The load of the last `WINDOW` seconds.

    `peaks` are times and loads, each load lower than the one before it: what is older and not
    higher can never be the highest again.
    """

    since: float = 0.0
    last: float = 0.0
    peaks: tuple[tuple[float, int], ...] = ()

    def seen(self, now: float, load: int) -> "Demand":
        """With one more sample. After a gap nothing is known of before."""
        fresh = not self.peaks or not 0 <= now - self.last <= _GAP
        kept = [] if fresh else [one for one in self.peaks if now - one[0] < WINDOW]
        while kept and kept[-1][1] <= load:
            kept.pop()
        return Demand(now if fresh else self.since, now, (*kept, (now, load)))

    def peak(self, now: float) -> int | None:
        """The highest load of a whole window; None while less than a window has been seen."""
        if not self.peaks or now - self.since < WINDOW:
            return None
        return self.peaks[0][1]


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave everything as it is."""


@dataclass(frozen=True, slots=True)
class Grow:
    """Scale up to `to`."""

    to: int
    why: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Close all these doors; if all agree, scale to zero; else open them again."""

    runners: tuple[Runner, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Close this one's door, and scale to `to` once nothing is inside it any more."""

    runner: Runner
    to: int
    why: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Nobody goes after all: open these doors before their lease is over."""

    runners: tuple[Runner, ...]


Action = Keep | Grow | Sleep | Retire | Reopen
KEEP: Final = Keep()


@dataclass(frozen=True, slots=True)
class Course:
    """What to do now, and in how many seconds to look again (None: when something changes)."""

    action: Action
    look_after: float | None = None


def decide(
    fleet: Fleet, scaling: ScalingSettings, keep_alive: float, demand: Demand, *, now: float
) -> Course:
    """What follows from what is known of a fleet.

    Args:
        fleet: the runners and what they said.
        scaling: the bounds.
        keep_alive: the settings' value in seconds; negative: never to sleep.
        demand: the load so far, this moment included.
        now: seconds since the epoch.
    """
    if fleet.replicas < scaling.min_replicas:
        low = scaling.min_replicas
        return Course(Grow(low, f"minReplicas is {low}"), POLL)
    if fleet.replicas == 0 or not fleet.started:
        # Asleep; or on its way up, which the conditions explain and nobody here undoes.
        return Course(KEEP)
    if not fleet.stable or not fleet.known:
        return Course(KEEP, POLL)
    action = _sleep(fleet, scaling, keep_alive, now)
    if action is KEEP and scaling.elastic:
        action = _by_demand(fleet, scaling, demand, now)
    closed = tuple(runner for runner in fleet.started if runner.closed)
    if closed and isinstance(action, Keep | Grow):
        # What is closed is room that needs no new pod.
        action = Reopen(closed)
    return Course(action, _look_after(fleet, scaling, keep_alive, action, now))


def asked_keep_alive(fleet: Fleet, keep_alive: float) -> float:
    """The keep-alive that counts: what the newest request that named one said, else `keep_alive`.

    Runners do not tell when a request named it, so of several that know one, it is the one that
    was used last.
    """
    told = [
        (runner.status.last_used_at or 0.0, runner.status.keep_alive)
        for runner in fleet.runners
        if runner.status is not None and runner.status.keep_alive is not None
    ]
    found = max(told)[1] if told else keep_alive
    return NEVER if found > _FOREVER else found


def idle_deadline(
    fleet: Fleet, scaling: ScalingSettings, keep_alive: float, now: float
) -> float | None:
    """When the fleet may sleep if nobody comes; None: never, or not known."""
    keep = asked_keep_alive(fleet, keep_alive)
    awake = fleet.replicas > 0 and fleet.known
    if scaling.min_replicas > 0 or keep < 0 or not awake:
        return None
    if fleet.load:
        return now + keep
    return max(_runner_deadline(runner, keep) for runner in fleet.started)


def _runner_deadline(runner: Runner, keep: float) -> float:
    used = runner.status.last_used_at if runner.status is not None else None
    if used is None or used < runner.up_since:
        return runner.up_since + max(keep, GRACE)
    return used + keep


def _sleep(fleet: Fleet, scaling: ScalingSettings, keep_alive: float, now: float) -> Action:
    deadline = idle_deadline(fleet, scaling, keep_alive, now)
    passed = deadline is not None and now >= deadline
    if not passed or fleet.load or not all(runner.closable for runner in fleet.started):
        return KEEP
    keep = asked_keep_alive(fleet, keep_alive)
    return Sleep(tuple(fleet.started), f"nobody has used it for {format_duration(keep)}")


def _by_demand(fleet: Fleet, scaling: ScalingSettings, demand: Demand, now: float) -> Action:
    wanted = _replicas(fleet.load, scaling)
    if wanted > fleet.replicas and _warm(fleet, now):
        return Grow(
            wanted,
            f"{fleet.load} requests at once, {scaling.target_concurrency} are right for a runner",
        )
    peak = demand.peak(now)
    if peak is None or _replicas(max(peak, fleet.load), scaling) >= fleet.replicas:
        return KEEP
    leaving = _first_to_go(fleet)
    if leaving.ip and not leaving.closable:
        return KEEP
    return Retire(
        leaving,
        fleet.replicas - 1,
        f"at most {peak} requests at once for {format_duration(WINDOW)}, "
        f"{scaling.target_concurrency} are right for a runner",
    )


def _replicas(load: int, scaling: ScalingSettings) -> int:
    wanted = -(-load // scaling.target_concurrency)
    return min(max(wanted, scaling.min_replicas, 1), scaling.max_replicas)


def _warm(fleet: Fleet, now: float) -> bool:
    """Whether the load is that of engines at work: it gathers while they start (knative #4344)."""
    return all(
        runner.ip and runner.ready and runner.up_since <= now - SETTLE for runner in fleet.runners
    )


def _first_to_go(fleet: Fleet) -> Runner:
    """The runner that Kubernetes takes, too: not started, then marked; else one we choose."""
    return max(
        fleet.runners,
        key=lambda one: (not one.ip, one.marked, one.closed, one.created, one.name),
    )


def _look_after(
    fleet: Fleet, scaling: ScalingSettings, keep_alive: float, action: Action, now: float
) -> float:
    if isinstance(action, Retire):
        return DRAINING
    deadline = idle_deadline(fleet, scaling, keep_alive, now)
    if deadline is None and not scaling.elastic:
        return REST
    if deadline is None or deadline <= now:
        return POLL
    return min(POLL, deadline - now)
