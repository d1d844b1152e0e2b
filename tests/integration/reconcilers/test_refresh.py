"""A source that moves: looked at, pulled beside what serves, rolled, and its past given up."""

from dataclasses import replace

import pytest

from modelrunner.domain.naming import claim_name
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome
from tests.cluster.waiting import wait_until
from tests.integration.reconcilers.bench import PATIENCE, Bench, condition, written
from tests.integration.reconcilers.moving import (
    MODEL,
    A,
    B,
    C,
    ask,
    claims,
    events,
    gone,
    jobs,
    look,
    mounted,
    roll,
    runner_pods,
    says,
    serve,
    settled,
    source,
)
from tests.support.kubeapi import Object

pytestmark = pytest.mark.control_plane


async def test_a_moved_tag_is_pulled_rolled_and_its_past_given_up(bench: Bench) -> None:
    """New weights first, then the pods, then the old claim goes; Ready all the while."""
    first = await serve(bench)
    assert "source" not in bench.model("m")["status"]
    model = await look(bench, "now", B)
    assert says(model, "Ready") == ("True", "Ready")
    assert "with its previous weights" in condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    assert says(model, "Reconciling") == ("True", "Pulling")
    assert "a newer version of" in condition(model, "Reconciling")["message"]  # type: ignore[index]  # asserted
    assert mounted(bench) == first
    second = claim_name(source(bench)["key"])
    assert claims(bench) == sorted([first, second])
    bench.end_pod("pull", Outcome(artifact=B), exit_code=0)
    model = await bench.until_still("m")
    assert mounted(bench) == second
    assert first in claims(bench)
    assert says(model, "Ready") == ("True", "Ready")
    bench.make_ready(address="127.0.0.10")
    model = await bench.until_still("m")
    assert says(model, "Reconciling") is None
    assert model["status"]["artifact"]["digest"] == B.digest
    await gone(bench, first)
    assert (claims(bench), jobs(bench)) == ([second], [])
    told = source(bench)
    assert (told["digest"], told["handledRefresh"]) == (B.digest, "now")
    assert "superseded" not in told
    writes = written()
    await bench.once("m")
    assert written() == writes


async def test_nothing_is_pulled_while_the_source_stands_still(bench: Bench) -> None:
    """Equal files under another manifest are the same weights; the look is told, nothing rolls."""
    first = await serve(bench)
    same = replace(A, digest=f"sha256:{'e' * 64}")
    model = await look(bench, "now", same)
    assert (claims(bench), mounted(bench), jobs(bench)) == ([first], first, [])
    assert model["status"]["phase"] == "Ready"
    assert model["status"]["artifact"]["digest"] == A.digest
    assert source(bench)["digest"] == same.digest
    writes = written()
    await bench.once("m")
    assert written() == writes


async def test_a_look_that_fails_is_told_beside_the_model_and_tried_again(bench: Bench) -> None:
    """Ready and Cached stay; one event; no write until the next try, which then finds the move."""
    first = await serve(bench)
    down = Outcome(reason=Reason.PULL_FAILED, message="no route to the registry", retryable=True)
    model = await look(bench, "now", down)
    assert (says(model, "Ready"), says(model, "Cached")) == (("True", "Ready"), ("True", "Cached"))
    assert says(model, "Reconciling") is says(model, "Stalled") is None
    assert "no route to the registry" in source(bench)["message"]
    assert "handledRefresh" not in source(bench)
    writes = written()
    await bench.once("m")
    assert (written(), jobs(bench)) == (writes, [])
    bench.offset += 61
    await bench.until_still("m")
    assert jobs(bench) == ["refresh"]
    bench.end_pod("resolve", down, exit_code=1)
    await bench.until_still("m")
    assert source(bench)["failures"] == 2
    assert len(events(bench, "RefreshFailed")) == 1
    bench.offset += 121
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=B), exit_code=0)
    await bench.until_still("m")
    assert "message" not in source(bench)
    await roll(bench, B)
    assert mounted(bench) != first


async def test_a_look_that_cannot_help_is_not_repeated(bench: Bench) -> None:
    """What was asked is answered: a reference that is gone is not asked for again and again."""
    await serve(bench)
    gone_for_good = Outcome(reason=Reason.PULL_FAILED, message="no such tag", retryable=False)
    await look(bench, "now", gone_for_good)
    assert source(bench)["handledRefresh"] == "now"
    bench.offset += 100_000
    await bench.until_still("m")
    assert jobs(bench) == []
    assert "no such tag" in source(bench)["message"]


async def test_a_newer_version_that_cannot_be_used_is_left_where_it_is(bench: Bench) -> None:
    """UnsupportedFormat of what the tag stands for now: told, and the former weights stay."""
    first = await serve(bench)
    await look(bench, "now", replace(B, format="pickle"))
    assert "cannot be used" in source(bench)["message"]
    assert B.digest in source(bench)["message"]
    assert (claims(bench), mounted(bench), jobs(bench)) == ([first], first, [])
    assert says(bench.model("m"), "Ready") == ("True", "Ready")
    assert len(events(bench, "RefreshFailed")) == 1
    await look(bench, "again", C)
    await roll(bench, C)
    await gone(bench, first)


async def test_looks_come_by_themselves_once_an_interval(bench: Bench) -> None:
    """The Model asks to be looked at again in time, also asleep, and a sleeper stays asleep."""
    spec = {"source": MODEL["source"] | {"refresh": "10m"}}
    first = await serve(bench, spec)
    bench.scale("m", 0)
    wait_until("no pods", lambda: runner_pods(bench) == [], seconds=PATIENCE)
    await bench.until_still("m")
    again = await bench.once("m")
    assert again is not None
    assert again <= 600
    bench.offset += again + 1
    await bench.until_still("m")
    assert jobs(bench) == ["refresh"]
    bench.end_pod("resolve", Outcome(artifact=B), exit_code=0)
    await bench.until_still("m")
    bench.end_pod("pull", Outcome(artifact=B), exit_code=0)
    await bench.until_still("m")
    wait_until("the Deployment", lambda: settled(bench), seconds=PATIENCE)
    model = await bench.until_still("m")
    assert mounted(bench) != first
    assert bench.must("apps/v1", "Deployment", "m")["spec"]["replicas"] == 0
    assert runner_pods(bench) == []
    assert model["status"]["phase"] == "Idle"
    assert says(model, "Reconciling") is None
    assert first not in claims(bench)


@pytest.mark.parametrize(
    "source_spec",
    [
        {"oci": {"reference": f"registry.example/m@sha256:{'0' * 64}"}},
        {"http": {"url": "https://files.example/m.gguf", "sha256": "0" * 64}},
        {"huggingFace": {"repository": "a/b", "revision": "0" * 40}},
    ],
)
async def test_what_cannot_move_is_not_looked_at(bench: Bench, source_spec: Object) -> None:
    """Asked to, the status says that there is nothing to refresh."""
    await serve(bench, {"source": source_spec | {"refresh": "1m"}})
    ask(bench, "now")
    bench.offset += 100
    await bench.until_still("m")
    assert jobs(bench) == []
    told = source(bench)
    assert told["handledRefresh"] == "now"
    assert "there is nothing to refresh" in told["message"]
    assert says(bench.model("m"), "Ready") == ("True", "Ready")
