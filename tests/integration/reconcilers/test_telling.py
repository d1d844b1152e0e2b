"""What people are told of a pull, on a real API server."""

from dataclasses import replace

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome, Progress, PullPhase
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT, running

pytestmark = pytest.mark.control_plane

OCI = {"source": {"oci": {"reference": "r.example.com/a/b:v1"}, "credentialsSecret": "login"}}
SIZE = 98_400_000
GOING = Progress(
    phase=PullPhase.DOWNLOADING,
    completed_bytes=SIZE // 2,
    total_bytes=SIZE,
    bytes_per_second=12_700_000.0,
    eta_seconds=4.4,
    idle_seconds=0.1,
    resumed_bytes=SIZE // 4,
)
SILENT = replace(
    GOING,
    bytes_per_second=0.0,
    eta_seconds=None,
    idle_seconds=75.0,
    message="the server answered 503; trying again",
)
DENIED = Outcome(
    reason=Reason.PULL_FAILED,
    message="the registry does not give access (401): check the password in the Secret login",
    retryable=True,
)


def events(bench: Bench, *reasons: str) -> list[str]:
    """Notes of the Model's events with these reasons, in their order."""
    found: list[Object] = bench.api.list("events.k8s.io/v1", "Event", bench.namespace)
    mine = [one for one in found if one["reason"] in reasons and one["regarding"]["name"] == "m"]
    mine.sort(key=lambda one: one["eventTime"])
    return [f"{one['type']} {one['reason']}: {one['note']}" for one in mine]


async def pulling(bench: Bench) -> None:
    """A Model whose pull pod runs."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", OCI)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
    await bench.until_still("m")
    bench.set_status(bench.pod_of("pull"), running("pull", "127.0.0.9"))


async def look(bench: Bench, progress: Progress) -> Object:
    """The next look sees this; the Model's status then."""
    bench.probe.pull = progress
    bench.offset += 5
    await bench.once("m")
    return dict(bench.model("m")["status"])


async def test_a_stall_from_its_beginning_to_its_end(bench: Bench) -> None:
    """One event for each turn, whatever the operator forgets meanwhile; the status says it too."""
    await pulling(bench)
    assert "stalledSince" not in (await look(bench, GOING))["download"]
    status = await look(bench, SILENT)
    assert status["download"]["progress"] == "50% stalled"
    since = status["download"]["stalledSince"]
    words = "no byte for more than 1m0s: the server answered 503; trying again"
    assert condition({"status": status}, "Ready")["message"].endswith(words)  # type: ignore[index]  # asserted
    bench.restart()
    before = written()
    for number in range(1, 5):
        status = await look(bench, replace(SILENT, idle_seconds=75.0 + 5 * number))
    assert status["download"]["stalledSince"] == since
    assert written() == before
    await look(bench, GOING)
    bench.restart()
    await look(bench, GOING)
    told = Outcome(artifact=ARTIFACT, downloaded_bytes=ARTIFACT.size_bytes, seconds=35.0)
    bench.end_pod("pull", told, exit_code=0)
    await bench.until_still("m")
    what = "r.example.com/a/b:v1"
    found = events(bench, "PullResumed", "PullStalled", "PullRecovered", "Pulled")
    assert found[0] == "Normal PullResumed: 25 % of 93.8 MiB are there already"
    assert found[1] == f"Warning PullStalled: {what}: {words}"
    assert found[2].startswith("Normal PullRecovered: bytes come again after 1m")
    assert found[3] == f"Normal Pulled: {what}: 93.8 MiB in 35s, 2.7 MiB/s"
    assert len(found) == 4


async def test_a_second_model_with_the_same_source(bench: Bench) -> None:
    """Nothing is downloaded, and the Model says so."""
    await pulling(bench)
    bench.end_pod("pull", Outcome(artifact=ARTIFACT, downloaded_bytes=5), exit_code=0)
    await bench.until_still("m")
    bench.put("Model", "n", OCI)
    await bench.until_still("n")
    found = bench.api.list("events.k8s.io/v1", "Event", bench.namespace)
    (note,) = (
        one["note"]
        for one in found
        if one["reason"] == "Pulled" and one["regarding"]["name"] == "n"
    )
    assert note.endswith("93.8 MiB, in the cache already: nothing was downloaded")


async def test_a_secret_that_is_mended_is_taken_up(bench: Bench) -> None:
    """A refused login is tried again with back-off, in a new pod, which mounts the Secret anew."""
    await pulling(bench)
    first = bench.pod_of("pull")
    bench.end_pod("pull", DENIED, exit_code=1)
    model = await bench.until_still("m")
    message = condition(model, "Ready")["message"]  # type: ignore[index]  # asserted
    assert "check the password in the Secret login" in message
    assert "Attempt 1 failed; the next is at 20" in message
    assert condition(model, "Reconciling")
    assert condition(model, "Stalled") is None
    bench.offset += 11
    await bench.until_still("m")
    second = bench.pod_of("pull", other_than=first["metadata"]["name"])
    volumes = second["spec"]["volumes"]
    assert [one["secret"]["secretName"] for one in volumes if "secret" in one] == ["login"]
    bench.end_pod("pull", Outcome(artifact=ARTIFACT, downloaded_bytes=5), exit_code=0)
    assert (await bench.until_still("m"))["status"]["phase"] == "Starting"
