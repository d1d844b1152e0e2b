"""What a client is told while a Model is pulled."""

from typing import Any

from modelrunner.gateway.management.progress import (
    GONE,
    Failed,
    Pulled,
    Pulling,
    progress_of,
)
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import Object, condition, model

DIGEST = "sha256:" + "ab" * 32


def entry(*conditions: Object, generation: int = 1, **status: Any) -> ModelEntry:
    """A Model in this state."""
    table = RouteTable()
    status["conditions"] = list(conditions)
    table.put_model(model("ml/x", generation=generation, status=status))
    found = table.find("ml/x")
    assert found is not None
    return found


def test_before_the_operator() -> None:
    """First nobody has seen it, then nobody has looked at it."""
    assert progress_of(None) == Pulling(message="the Model was made: waiting for the operator")
    found = progress_of(entry())
    assert isinstance(found, Pulling)
    assert (found.total, found.troubled) == (0, False)


def test_bytes() -> None:
    """Of the download, and never more than there are."""
    ready = condition("Ready", "False", "Pulling", "pulling it")
    artifact = {"digest": DIGEST, "sizeBytes": 100}
    for done, told in ((40, 40), (140, 100)):
        found = entry(
            ready, artifact=artifact, download={"completedBytes": done, "totalBytes": 100}
        )
        assert progress_of(found) == Pulling(
            message="pulling it", digest=DIGEST, completed=told, total=100
        )
    assert progress_of(entry(ready, artifact=artifact)) == Pulling(
        message="pulling it", digest=DIGEST, total=100
    )


def test_a_fault_of_the_former_settings() -> None:
    """After an edit it is no end: nobody knows yet what comes of the new ones."""
    told = (
        condition("Ready", "True", "Ready"),
        condition("Cached", "False", "PullFailed", "404"),
        condition("Stalled", "True", "PullFailed", "404"),
    )
    assert progress_of(entry(*told)) == Failed("PullFailed", "404")
    assert isinstance(progress_of(entry(*told, generation=2)), Pulling)


def test_a_silent_source() -> None:
    """Clients are warned of a source that sends nothing, in the operator's words."""
    words = "pulling it; no byte for more than 1m0s: why"
    ready = condition("Ready", "False", "Pulling", words)
    download = {
        "completedBytes": 40,
        "totalBytes": 100,
        "stalledSince": "2026-07-01T00:00:00Z",
    }
    found = progress_of(entry(ready, download=download))
    assert found == Pulling(message=words, completed=40, total=100, troubled=True)


def test_the_end() -> None:
    """Cached ends it, whatever becomes of the runner; so does what serves without a cache."""
    cached = condition("Cached", "True", "Cached")
    broken = condition("Ready", "False", "CrashLooping", "it crashes")
    stalled = condition("Stalled", "True", "CrashLooping", "it crashes")
    assert progress_of(entry(broken, cached, stalled, artifact={"sizeBytes": 7})) == Pulled(7)
    assert progress_of(entry(condition("Ready", "True", "ScaledToZero"))) == Pulled(0)


def test_troubles() -> None:
    """Those that pass go on, the others end it; of an older spec nobody knows yet."""
    ready = condition("Ready", "False", "PullFailed", "no such tag")
    again = progress_of(entry(ready, condition("Reconciling", "True", "PullFailed")))
    assert again == Pulling(message="no such tag", troubled=True)
    stalled = condition("Stalled", "True", "PullFailed", "no such tag")
    found = progress_of(entry(ready, stalled))
    assert found == Failed("PullFailed", "no such tag")
    assert isinstance(found, Failed)
    assert found.text == "PullFailed: no such tag"
    older = condition("Stalled", "True", "PullFailed", "no such tag", generation=0)
    assert isinstance(progress_of(entry(ready, older)), Pulling)


def test_a_deleted_one() -> None:
    """While it goes, and when it is gone."""
    table = RouteTable()
    table.put_model(model("ml/x", deletionTimestamp="2026-07-01T00:00:00Z"))
    found = table.find("ml/x")
    going = progress_of(found)
    assert isinstance(going, Failed)
    assert going.reason == "Terminating"
    table.drop_model(model("ml/x"))
    assert progress_of(found) == GONE
