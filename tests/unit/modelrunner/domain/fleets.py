"""Fleets for tests, and what is drawn to try any of them."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from modelrunner.domain.effective import ScalingSettings
from modelrunner.domain.fleet import Fleet, Runner
from modelrunner_protocol.runner import RunnerState, RunnerStatus

NOW = 1_000_000.0
STATUS = RunnerStatus(
    state=RunnerState.READY, started_at=NOW - 5000, warmed_at=NOW - 4990, last_used_at=NOW - 1000
)
BOUNDS = ScalingSettings(min_replicas=0, max_replicas=1, target_concurrency=8, elastic=False)


def runner(name: str = "a", status: RunnerStatus | None = STATUS, **more: Any) -> Runner:
    """A runner that serves and was last used 1000 seconds ago."""
    found = Runner(
        uid=f"uid-{name}", name=name, created=NOW - 5000, ip="10.0.0.1", ready=True, status=status
    )
    return replace(found, **more)


def says(**told: Any) -> Runner:
    """The same with other words."""
    return runner(status=replace(STATUS, **told))


def fleet(*runners: Runner, **more: Any) -> Fleet:
    """A Deployment that wants exactly these runners, and nothing is going on."""
    found = Fleet(name="m", version="1", replicas=len(runners), stable=True, runners=runners)
    return replace(found, **more)


times = st.floats(NOW - 10_000, NOW + 100, allow_nan=False)
statuses = st.builds(
    RunnerStatus,
    state=st.sampled_from(RunnerState),
    started_at=times,
    engine_ready_at=st.none() | times,
    warmed_at=st.none() | times,
    in_flight=st.integers(0, 30),
    last_used_at=st.none() | times,
    held=st.integers(0, 30),
    keep_alive=st.none() | st.sampled_from([-1.0, 0.0, 1.0, 300.0, 1e300]),
    closed_until=st.none() | times,
)
runners = st.builds(
    Runner,
    uid=st.uuids().map(str),
    name=st.text("abc", min_size=1, max_size=3),
    created=times,
    ip=st.sampled_from(["", "10.0.0.1"]),
    ready=st.booleans(),
    status=st.none() | statuses,
    closable=st.booleans(),
    marked=st.booleans(),
)
# Most of what is drawn freely is not known well enough for anything to follow from it.
at_ease = st.builds(
    runner,
    name=st.text("abc", min_size=1, max_size=3),
    status=st.builds(
        replace,
        st.just(STATUS),
        in_flight=st.integers(0, 3) | st.just(0),
        last_used_at=st.none() | times,
        keep_alive=st.none() | st.sampled_from([-1.0, 0.0, 300.0]),
        closed_until=st.none() | times,
    ),
)
fleets = st.builds(
    lambda runners, replicas, stable: Fleet(
        name="m",
        version="1",
        replicas=len(runners) if replicas is None else replicas,
        stable=stable,
        runners=tuple(runners),
    ),
    st.lists(runners | at_ease, max_size=4),
    st.none() | st.integers(0, 5),
    st.booleans() | st.just(value=True),
)
bounds = st.builds(
    lambda low, more, target, elastic: ScalingSettings(
        min_replicas=low,
        max_replicas=max(1, low + more),
        target_concurrency=target,
        elastic=elastic,
    ),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 10),
    st.booleans(),
)
keep_alives = st.sampled_from([-1.0, 0.0, 5.0, 300.0, 3600.0])
