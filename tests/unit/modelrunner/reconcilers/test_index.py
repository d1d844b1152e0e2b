"""Names and keys of Models."""

from typing import Any

import pytest

from modelrunner.kube.resources import MODELS
from modelrunner.kube.store import Store
from modelrunner.reconcilers import index
from modelrunner.reconcilers.index import ArtifactKeys, ModelIndex, NameIndex, key_of, keys_of
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


def at_version(key: str, *, source_key: str | None = None) -> dict[str, Any]:
    """The Model, with a version of its source in its status."""
    of = source_key or key_of(model())
    return model() | {"status": {"source": {"sourceKey": of, "key": key}}}


def test_the_version_is_the_statuss_while_it_is_of_this_source() -> None:
    """A changed source begins with its first version, whatever the status says of the old one."""
    first = key_of(model())
    assert keys_of(model()) == {first}
    assert keys_of(at_version("v2")) == {first, "v2"}
    assert keys_of(at_version("v2", source_key="other")) == {first}
    assert keys_of(model(source={}) | {"status": at_version("v2")["status"]}) == set()


def test_keys_are_computed_once_for_each_generation_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A changed source has other keys; of many Models only the latest are remembered."""
    asked: list[str] = []

    def spy(found: dict[str, Any]) -> Any:
        asked.append(found["metadata"]["name"])
        return keys_of(found)

    monkeypatch.setattr(index, "keys_of", spy)
    keys = ArtifactKeys(limit=1)
    assert keys(model()) == keys(model()) == {key_of(model())}
    assert asked == ["m"]
    assert keys(at_version("v2")) == {key_of(model()), "v2"}
    assert keys(model(generation=2, source={})) == keys(model(generation=2, source={})) == set()
    assert asked == ["m", "m", "m"]
    assert keys(model("n")) == keys_of(model())
    assert keys(model()) == keys_of(model())
    assert asked == ["m", "m", "m", "n", "m"]


def test_only_changes_are_read_again() -> None:
    """By generation; what is gone is forgotten; a deletion is a change."""
    entries = ModelIndex().entries
    first = entries("ml", [model(), model("n")])
    second = entries("ml", [model(), model("n", 2, source={})])
    assert second[0] is first[0]
    assert (first[1].key, second[1].key) == (key_of(model()), None)
    moved = entries("ml", [at_version("v2")])[0]
    assert (moved.source_key, moved.key) == (key_of(model()), "v2")
    gone = model()
    gone["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert entries("ml", [gone])[0].deleting
    assert entries("ml", []) == []


def named(path: str, *aliases: str, age: int = 0) -> dict[str, Any]:
    """A Model with names; one of a higher age is older."""
    namespace, _, name = path.partition("/")
    found = model(name, aliases=list(aliases))
    found["metadata"] |= {
        "namespace": namespace,
        "uid": path,
        "creationTimestamp": f"2026-11-21T10:00:{59 - age:02}Z",
    }
    return found


def lost(names: NameIndex, found: dict[str, Any]) -> dict[str, str]:
    """The names that a Model has lost, and to whom."""
    return {name: owner.path for name, owner in names.losses(found)}


def test_whom_a_change_of_names_concerns() -> None:
    """Those that want a name which came or went, in any namespace; nobody when no name changed."""
    names = NameIndex()
    old, young = named("ml/old", "gpt", age=9), named("web/young", "gpt")
    assert names.put(young) == set()
    assert names.put(old) == {("web", "young")}
    assert names.put({**old, "status": {"phase": "Ready"}}) == set()
    assert lost(names, young) == {"gpt": "ml/old"}
    assert names.put(named("ml/old", age=9)) == {("web", "young")}
    assert lost(names, young) == {}
    names.put(old)
    assert names.drop(old) == {("web", "young")}
    assert names.drop(old) == set()
    assert lost(names, young) == {}


def test_names_follow_the_cache() -> None:
    """Models come, change and go; while none does, nothing is read again."""
    store, names = Store(), NameIndex()
    old, young = named("ml/old", "gpt", age=9), named("web/young", "gpt")
    for found in (old, young):
        store.put(MODELS, found)
    names.follow(store)
    assert lost(names, young) == {"gpt": "ml/old"}
    names.follow(store)
    store.put(MODELS, named("ml/old", "gpt-4", age=9))
    names.follow(store)
    assert lost(names, young) == {}
    store.put(MODELS, old)
    names.follow(store)
    assert lost(names, young) == {"gpt": "ml/old"}
    store.drop(MODELS, old)
    names.follow(store)
    assert lost(names, young) == {}
