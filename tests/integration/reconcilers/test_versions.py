"""Versions of a source: whose they are, after a restart, a loss or a change of mind."""

import pytest

from modelrunner.domain.naming import claim_name
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import PATIENCE, Bench
from tests.integration.reconcilers.moving import (
    MODEL,
    MODELS,
    A,
    B,
    C,
    ask,
    claims,
    forget,
    gone,
    jobs,
    look,
    mounted,
    roll,
    runner_pods,
    says,
    serve,
    source,
)

pytestmark = pytest.mark.control_plane


async def test_an_operator_that_starts_anew_goes_on(bench: Bench) -> None:
    """After each stage all memory is lost; nothing is looked at, pulled or rolled twice."""
    first = await serve(bench)
    ask(bench, "now")
    await bench.until_still("m")
    bench.restart()
    await bench.until_still("m")
    assert jobs(bench) == ["refresh"]
    bench.end_pod("resolve", Outcome(artifact=B), exit_code=0)
    bench.restart()
    await bench.until_still("m")
    bench.restart()
    await bench.until_still("m")
    pull = [one for one in jobs(bench) if one == "pull"]
    assert len(pull) == 1
    bench.end_pod("pull", Outcome(artifact=B), exit_code=0)
    bench.restart()
    await bench.until_still("m")
    bench.make_ready(address="127.0.0.10")
    bench.restart()
    await gone(bench, first)
    assert (len(claims(bench)), jobs(bench)) == (1, [])


@pytest.mark.parametrize("when", ["before the pull", "while it rolls", "at rest"])
async def test_a_lost_status_loses_no_version(bench: Bench, when: str) -> None:
    """What serves is known by its Deployment; the past is given up all the same."""
    first = await serve(bench)
    await look(bench, "now", B)
    second = claim_name(source(bench)["key"])
    if when == "before the pull":
        forget(bench)
        await bench.until_still("m")
        assert mounted(bench) == first
        assert says(bench.model("m"), "Ready") == ("True", "Ready")
        # The Job that looked is kept until the pull is over: its answer is read once more.
        assert claim_name(source(bench)["key"]) == second
    bench.end_pod("pull", Outcome(artifact=B), exit_code=0)
    await bench.until_still("m")
    if when == "while it rolls":
        forget(bench)
        await bench.until_still("m")
    bench.make_ready(address="127.0.0.10")
    await bench.until_still("m")
    if when == "at rest":
        forget(bench)
        await bench.until_still("m")
    assert mounted(bench) == second
    await gone(bench, first)
    assert claims(bench) == [second]
    assert claim_name(source(bench)["key"]) == second


async def test_a_tag_that_moves_during_the_pull_is_pulled_as_it_is(bench: Bench) -> None:
    """The pull's second try takes what it meets; the next look finds it unmoved, or moves on."""
    first = await serve(bench)
    await look(bench, "now", B)
    changed = Outcome(reason=Reason.PULL_FAILED, message="it changed", retryable=True)
    bench.end_pod("pull", changed, exit_code=1)
    await bench.until_still("m")
    bench.offset += 15
    await bench.until_still("m")
    model = await roll(bench, C)
    assert model["status"]["artifact"]["digest"] == C.digest
    await gone(bench, first)
    taken = mounted(bench)
    await look(bench, "again", C)
    assert mounted(bench) == taken
    assert jobs(bench) == []
    await look(bench, "and again", B)
    await roll(bench, B, "127.0.0.11")
    assert mounted(bench) not in {first, taken}
    await gone(bench, taken)


async def test_a_tag_that_moves_back_finds_its_weights(bench: Bench) -> None:
    """While somebody else still serves them they are there: no pull, and nothing newer is left."""
    first = await serve(bench)
    bench.put("Model", "other", MODEL)
    await bench.until_still("other")
    assert mounted(bench, "other") == first
    await look(bench, "now", B)
    await roll(bench, B)
    second = mounted(bench)
    assert claims(bench) == sorted([first, second])
    assert mounted(bench, "other") == first
    await look(bench, "back", A)
    assert jobs(bench) == []
    assert mounted(bench) == first
    bench.make_ready(address="127.0.0.11")
    await bench.until_still("m")
    await gone(bench, second)
    assert claims(bench) == [first]


async def test_models_of_one_source_have_each_their_own_version(bench: Bench) -> None:
    """A new one takes the newest that is there; who did not ask stays; the last to leave sweeps."""
    first = await serve(bench)
    bench.put("Model", "old", MODEL)
    await bench.until_still("old")
    await look(bench, "now", B)
    await roll(bench, B)
    second = mounted(bench)
    bench.put("Model", "new", MODEL)
    await bench.until_still("new")
    assert mounted(bench, "new") == second
    assert jobs(bench) == []
    await bench.until_still("old")
    assert mounted(bench, "old") == first
    bench.api.delete(*MODELS, "old", bench.namespace)
    bench.api.delete("apps/v1", "Deployment", "old", bench.namespace)
    wait_until("the other's pods to go", lambda: runner_pods(bench, "old") == [], seconds=PATIENCE)
    # Nobody tells who leaves; each full look sees it.
    bench.offset += 300
    await gone(bench, first)
    assert mounted(bench, "new") == mounted(bench) == second


async def test_a_model_that_is_deleted_in_the_middle_leaves_no_job(bench: Bench) -> None:
    """Its look and its pull are its own; what was complete is kept for the next one."""
    first = await serve(bench)
    await look(bench, "now", B)
    found = bench.api.list("batch/v1", "Job", bench.namespace)
    uid = bench.model("m")["metadata"]["uid"]
    assert {owner["uid"] for one in found for owner in one["metadata"]["ownerReferences"]} == {uid}
    bench.api.delete(*MODELS, "m", bench.namespace)
    await bench.once("m")
    assert first in claims(bench)
    wait_until("the Jobs to go", lambda: jobs(bench) == [], seconds=PATIENCE)
