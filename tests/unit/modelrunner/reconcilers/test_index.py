"""Names and keys of Models."""

from typing import Any

import pytest

from modelrunner.reconcilers import index
from modelrunner.reconcilers.index import ArtifactKeys, ModelIndex, entry_of, key_of
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import ClaimSource, HttpSource, Source


def model(name: str = "m", generation: int = 1, **spec: Any) -> dict[str, Any]:
    """A Model as stored."""
    return {
        "metadata": {"name": name, "uid": f"u-{name}", "generation": generation},
        "spec": {"source": {"http": {"url": "http://h/m"}}} | spec,
    }


def test_keys_are_the_protocols() -> None:
    """Both kinds of source, and None for what cannot be read."""
    assert key_of(model()) == artifact_key(Source(http=HttpSource(url="http://h/m")))
    claim = {"persistentVolumeClaim": {"name": "c", "path": "p"}}
    assert key_of(model(source=claim)) == artifact_key(
        Source(claim=ClaimSource(claim="c", path="p"))
    )
    assert key_of(model(source={})) is None
    assert key_of({}) is None


def test_a_key_is_computed_once_for_each_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed source has another key; of many Models only the latest are remembered."""
    asked: list[str] = []

    def spy(found: dict[str, Any]) -> str | None:
        asked.append(found["metadata"]["name"])
        return key_of(found)

    monkeypatch.setattr(index, "key_of", spy)
    keys = ArtifactKeys(limit=1)
    assert keys(model()) == keys(model()) == key_of(model())
    assert asked == ["m"]
    assert keys(model(generation=2, source={})) is keys(model(generation=2)) is None
    assert keys(model("n")) == key_of(model())
    assert keys(model()) == key_of(model())
    assert asked == ["m", "m", "n", "m"]


def test_names() -> None:
    """A Model answers to its own name and its aliases."""
    assert entry_of(model(aliases=["a", "b"])).claimant.names == {"m", "a", "b"}


def test_only_changes_are_read_again() -> None:
    """By generation; what is gone is forgotten; a deletion is a change."""
    entries = ModelIndex().entries
    first = entries("ml", [model(), model("n")])
    second = entries("ml", [model(), model("n", 2, aliases=["x"])])
    assert second[0] is first[0]
    assert second[1].claimant.names == {"n", "x"}
    gone = model()
    gone["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert entries("ml", [gone])[0].deleting
    assert entries("ml", []) == []
