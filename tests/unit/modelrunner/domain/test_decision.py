"""The whole judged: problems before progress, and what serves goes on serving."""

from dataclasses import replace

import pytest

from modelrunner.domain.cache import CacheDecision
from modelrunner.domain.conditions import cached, not_cached
from modelrunner.domain.decision import World, decide
from modelrunner.domain.pods import look
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import PROGRESSING, Reason
from tests.unit.modelrunner.domain.pod_json import (
    NOW,
    RUNNING,
    container,
    deployment,
    pod,
    terminated,
    unschedulable,
    waiting,
)

CACHED = CacheDecision(verdict=cached("all there"), complete=True)
PULLING = CacheDecision(verdict=not_cached(Reason.PULLING, "pulling"))
READY_POD = pod(conditions={"Ready": "True"}, containers=[container(RUNNING, ready=True)])
CRASHED = pod(
    "new",
    created="2026-11-21T10:00:20Z",
    containers=[container(waiting("CrashLoopBackOff"), last=terminated(1))],
)
WELL = World(
    now=NOW,
    endpoint="http://m.ml.svc:80",
    problem=None,
    cache=CACHED,
    deployment=deployment(),
    pods=look([READY_POD]),
)
NO_RUNNER = Problem(Reason.RUNNER_NOT_FOUND, "none")


def said(world: World) -> list[str]:
    """The conditions as Type=Status(Reason), and the phase."""
    words = {True: "True", False: "False", None: "Unknown"}
    found = decide(world)
    return [
        *(f"{one.kind}={words[one.holds]}({one.reason})" for one in found.verdicts),
        str(found.phase),
    ]


def test_a_rollout_that_finds_no_room() -> None:
    """It needs room beside the former one, and where: a larger scale that finds none does not."""
    waits = unschedulable("0/1 nodes are available: 1 Insufficient cpu")
    waits["metadata"]["creationTimestamp"] = "2026-11-21T10:00:20Z"
    world = replace(WELL, pods=look([READY_POD, waits]), deployment=deployment(total=2))
    for tied, words in (
        (("c",), "on the node of PersistentVolumeClaim c (ReadWriteOnce),"),
        ((), ""),
    ):
        headline = decide(replace(world, tied=tied)).headline
        assert headline.reason is Reason.UNSCHEDULABLE
        assert "needs room for one more runner beside the former one" in headline.message
        assert words in headline.message
        assert "`kubectl scale deployment m --replicas=0` ends it first" in headline.message
    wider = replace(world, deployment=deployment(replicas=2, updated=2, total=2))
    assert "former" not in decide(wider).headline.message


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (WELL, ["Ready=True(Ready)", "Cached=True(Cached)", "Ready"]),
        (
            replace(WELL, pods=look([]), deployment=deployment(replicas=0)),
            ["Ready=True(ScaledToZero)", "Cached=True(Cached)", "Idle"],
        ),
        (
            replace(WELL, deployment=None, pods=look([])),
            [
                "Ready=False(Starting)",
                "Cached=True(Cached)",
                "Reconciling=True(Starting)",
                "Starting",
            ],
        ),
        (
            replace(WELL, cache=PULLING, deployment=None, pods=look([])),
            [
                "Ready=False(Pulling)",
                "Cached=False(Pulling)",
                "Reconciling=True(Pulling)",
                "Pulling",
            ],
        ),
        (
            replace(WELL, cache=PULLING),
            ["Ready=True(Ready)", "Cached=False(Pulling)", "Reconciling=True(Pulling)", "Ready"],
        ),
        (
            replace(WELL, changing=True),
            ["Ready=True(Ready)", "Cached=True(Cached)", "Reconciling=True(Starting)", "Ready"],
        ),
        (
            replace(WELL, deployment=deployment(generation=2)),
            ["Ready=True(Ready)", "Cached=True(Cached)", "Reconciling=True(Starting)", "Ready"],
        ),
        (
            replace(WELL, pods=look([READY_POD, CRASHED])),
            ["Ready=True(Ready)", "Cached=True(Cached)", "Stalled=True(CrashLooping)", "Ready"],
        ),
        (
            replace(WELL, pods=look([CRASHED])),
            [
                "Ready=False(CrashLooping)",
                "Cached=True(Cached)",
                "Stalled=True(CrashLooping)",
                "Failed",
            ],
        ),
        (
            replace(WELL, problem=NO_RUNNER, cache=None),
            [
                "Ready=True(Ready)",
                "Cached=Unknown(RunnerNotFound)",
                "Stalled=True(RunnerNotFound)",
                "Ready",
            ],
        ),
        (
            replace(WELL, problem=NO_RUNNER, cache=None, deployment=None, pods=look([])),
            [
                "Ready=False(RunnerNotFound)",
                "Cached=Unknown(RunnerNotFound)",
                "Stalled=True(RunnerNotFound)",
                "Pending",
            ],
        ),
        (
            replace(
                WELL,
                deployment=None,
                pods=look([]),
                cache=CacheDecision(
                    verdict=not_cached(Reason.PULL_FAILED, "503"),
                    problem=Problem(Reason.PULL_FAILED, "503", retry_at=NOW + 60),
                ),
            ),
            [
                "Ready=False(PullFailed)",
                "Cached=False(PullFailed)",
                "Reconciling=True(PullFailed)",
                "Failed",
            ],
        ),
        (
            replace(WELL, terminating=True, cache=None),
            [
                "Ready=False(Terminating)",
                "Cached=Unknown(Resolving)",
                "Reconciling=True(Terminating)",
                "Terminating",
            ],
        ),
    ],
)
def test_what_is_said(world: World, expected: list[str]) -> None:
    """Every state that a Model can be in, as kstatus will read it."""
    assert said(world) == expected


@pytest.mark.parametrize("reason", [*Reason])
def test_every_problem_is_either_on_its_way_or_stalled(reason: Reason) -> None:
    """Reconciling and Stalled exclude one another, and one of them goes with every bad state."""
    if reason in {Reason.READY, Reason.SCALED_TO_ZERO, Reason.CACHED}:
        return
    world = replace(WELL, problem=Problem(reason, "x"), deployment=None, pods=look([]))
    kinds = [str(one.kind) for one in decide(world).verdicts]
    assert kinds == ["Ready", "Cached", "Reconciling" if reason in PROGRESSING else "Stalled"]


def test_a_lost_name_touches_nothing_else() -> None:
    """One condition more; a Model that is going has nothing to mend."""
    lost = Problem(Reason.NAME_CONFLICT, "gpt goes to ml/old")
    well = decide(WELL)
    found = decide(replace(WELL, lost_names=lost))
    assert [*found.verdicts][:-1] == [*well.verdicts]
    assert (found.phase, found.headline) == (well.phase, well.headline)
    last = [*found.verdicts][-1]
    assert (last.kind, last.holds, last.reason, last.message) == (
        "NameConflict",
        True,
        Reason.NAME_CONFLICT,
        "gpt goes to ml/old",
    )
    going = replace(WELL, terminating=True)
    assert decide(replace(going, lost_names=lost)) == decide(going)
