"""The way of the weights from the source to the volume."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain import naming
from modelrunner.domain.cache import CacheFacts, JobWish, cache_claim, decide_cache, owns_claim
from modelrunner.domain.effective import Effective
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.problem import Problem
from modelrunner_protocol.codec import encode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Progress, PullPhase, WeightsFile
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, settings_of

ARTIFACT = Artifact(
    format="gguf", size_bytes=10**9, files=(WeightsFile(path="m.gguf", size_bytes=10**9),)
)
NOTHING = CacheFacts(claim=None, recorded_by=(), resolve=None, pull=None)
DONE = JobView(state=JobState.SUCCEEDED, attempt=1, artifact=ARTIFACT)
RUNNING = JobView(state=JobState.RUNNING, attempt=1)
FAILED = JobView(
    state=JobState.FAILED,
    attempt=2,
    problem=Problem(Reason.PULL_FAILED, "503"),
    retryable=True,
    finished_at=1000.0,
)


def claim(*, complete: bool, **status: str) -> dict[str, Any]:
    """Our own claim with its annotations."""
    annotations = {naming.ARTIFACT_ANNOTATION: encode(ARTIFACT)}
    if complete:
        annotations[naming.COMPLETE_ANNOTATION] = "true"
    return {"metadata": {"name": "c", "annotations": annotations}, "status": status}


def deployment(settings: Effective, mounts: str) -> dict[str, Any]:
    """A Deployment that serves the settings' artifact from a claim."""
    return {
        "metadata": {
            "annotations": {
                naming.ARTIFACT_ANNOTATION: encode(ARTIFACT),
                naming.ARTIFACT_KEY_ANNOTATION: settings.key,
            }
        },
        "spec": {
            "template": {
                "spec": {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": mounts}}]}
            }
        },
    }


@pytest.mark.parametrize(
    ("facts", "resolve", "pull", "reason"),
    [
        (NOTHING, "create", "keep", "Resolving"),
        (replace(NOTHING, resolve=RUNNING), "keep", "keep", "Resolving"),
        (replace(NOTHING, resolve=RUNNING, stale_resolve=True), "again", "keep", "Resolving"),
        (replace(NOTHING, resolve=DONE), "keep", "create", "Pulling"),
        (replace(NOTHING, resolve=DONE, stale_resolve=True), "again", "keep", "Resolving"),
        (replace(NOTHING, claim=claim(complete=False)), "keep", "create", "Pulling"),
        (
            replace(NOTHING, claim=claim(complete=False), pull=RUNNING),
            "keep",
            "keep",
            "Pulling",
        ),
        (
            replace(NOTHING, claim=claim(complete=False), pull=RUNNING, stale_pull=True),
            "keep",
            "again",
            "Pulling",
        ),
        (replace(NOTHING, claim=claim(complete=False), pull=DONE), "none", "none", "Cached"),
        (replace(NOTHING, claim=claim(complete=True)), "none", "none", "Cached"),
        (
            replace(NOTHING, resolve=DONE, pull=replace(RUNNING, state=JobState.GOING)),
            "keep",
            "keep",
            "Pulling",
        ),
    ],
)
def test_the_way(facts: CacheFacts, resolve: str, pull: str, reason: str) -> None:
    """Resolve, claim, pull, done; each step from what is known alone."""
    found = decide_cache(settings_of(), facts, now=0)
    assert (found.resolve, found.pull, found.verdict.reason) == (resolve, pull, reason)
    assert found.problem is None
    assert found.complete is (reason == "Cached")


def test_a_failed_try_waits_and_comes_again() -> None:
    """Attempt 2 waits twenty seconds; then a third is made."""
    facts = replace(NOTHING, resolve=FAILED)
    waits = decide_cache(settings_of(), facts, now=1010)
    assert waits.problem is not None
    assert waits.problem.retry_at == 1020
    assert waits.resolve is JobWish.KEEP
    again = decide_cache(settings_of(), facts, now=1020)
    assert (again.problem, again.resolve, again.attempt) == (None, JobWish.AGAIN, 3)
    final = replace(NOTHING, resolve=replace(FAILED, retryable=False))
    assert decide_cache(settings_of(), final, now=10**9).resolve is JobWish.KEEP


def test_what_a_running_job_waits_for_is_a_problem() -> None:
    """A pull without a node is told as Unschedulable."""
    stuck = replace(RUNNING, problem=Problem(Reason.UNSCHEDULABLE, "no node"))
    found = decide_cache(settings_of(), replace(NOTHING, resolve=stuck), now=0)
    assert found.problem == stuck.problem
    assert found.verdict.reason == "Unschedulable"


def test_other_formats_are_refused() -> None:
    """What llama.cpp cannot run is told with what it is, and takes no volume and no pull."""
    artifact = replace(ARTIFACT, format="safetensors", architecture="llama")
    for settings in (settings_of(), settings_of(CLAIM)):
        done = replace(DONE, artifact=artifact)
        found = decide_cache(settings, replace(NOTHING, resolve=done), now=0)
        assert found.verdict.reason == "UnsupportedFormat"
        assert "holds safetensors weights (llama, 953.7 MiB)" in found.verdict.message
        assert (found.complete, found.wants_claim, found.pull) == (False, False, JobWish.KEEP)
        assert found.artifact == artifact


def test_a_size_that_is_too_small_stops_before_the_pull() -> None:
    """Nothing is made, and the mend names the ModelRunner."""
    settings = settings_of(runner={"cache": {"size": "500M"}})
    found = decide_cache(settings, replace(NOTHING, resolve=DONE), now=0)
    assert found.verdict.reason == "CacheTooSmall"
    assert "ModelRunner gpu" in found.verdict.message
    assert not found.wants_claim


def test_in_place_a_resolve_is_enough() -> None:
    """Nothing is pulled from a volume that somebody else filled."""
    settings = settings_of(CLAIM)
    assert cache_claim(settings) == "mine"
    assert not owns_claim(settings)
    found = decide_cache(settings, replace(NOTHING, resolve=DONE), now=0)
    assert found.complete
    stale = decide_cache(settings, replace(NOTHING, resolve=DONE, stale_resolve=True), now=0)
    assert stale.resolve is JobWish.AGAIN


def test_a_deployment_remembers_for_volumes_that_are_not_ours() -> None:
    """With the same artifact on the same claim, and no other."""
    settings = settings_of(HTTP, {"cache": {"existingClaim": "shared"}})
    facts = replace(NOTHING, recorded_by=[deployment(settings, "shared")])
    assert decide_cache(settings, facts, now=0).complete
    facts = replace(NOTHING, recorded_by=[deployment(settings, "elsewhere")])
    assert not decide_cache(settings, facts, now=0).complete


def test_a_claim_that_goes_or_is_lost() -> None:
    """Deleted: wait until it is gone. Lost: somebody has to act."""
    going = claim(complete=True)
    going["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    found = decide_cache(settings_of(), replace(NOTHING, claim=going), now=0)
    assert not found.complete
    assert "being deleted" in found.verdict.message
    lost = replace(NOTHING, claim=claim(complete=True, phase="Lost"))
    found = decide_cache(settings_of(), lost, now=0)
    assert found.problem is not None
    assert "delete the claim" in found.problem.message


def test_an_annotation_that_cannot_be_read_is_none() -> None:
    """Somebody's edit costs one resolve."""
    broken = claim(complete=True)
    broken["metadata"]["annotations"][naming.ARTIFACT_ANNOTATION] = "{"
    found = decide_cache(settings_of(), replace(NOTHING, claim=broken), now=0)
    assert found.resolve is JobWish.CREATE


def test_a_pull_that_makes_no_way_says_why() -> None:
    """The puller's own words are part of the sentence."""
    facts = replace(
        NOTHING,
        resolve=DONE,
        pull=RUNNING,
        progress=Progress(phase=PullPhase.DOWNLOADING, message="the server answered 503"),
    )
    message = decide_cache(settings_of(), facts, now=0).verdict.message
    assert message == "pulling http://files.example/m.gguf (953.7 MiB); the server answered 503"
