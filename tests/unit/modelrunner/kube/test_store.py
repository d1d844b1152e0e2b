"""The cache: indexed, never taken back in time, set right by a full list."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.kube.resources import MODELS, PODS
from modelrunner.kube.store import Store

LABEL = "modelrunner.dev/model"


def pod(name: str, version: int | str, *, namespace: str = "ns", **labels: str) -> dict[str, Any]:
    """A pod at a resourceVersion; its uid is that of its name unless `uid` is a label."""
    renamed = {key.replace("model", LABEL): value for key, value in labels.items() if key != "uid"}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": labels.get("uid", name),
            "resourceVersion": str(version),
            "labels": renamed,
        }
    }


def names(items: list[dict[str, Any]]) -> list[str]:
    """Their names, sorted."""
    return sorted(item["metadata"]["name"] for item in items)


def test_managed_fields_are_left_out() -> None:
    """They are a third of every object and nobody reads them; the given object is not changed."""
    store = Store()
    item = pod("a", 1)
    item["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    store.put(PODS, item)
    assert "managedFields" not in (store.get(PODS, "ns", "a") or {})["metadata"]
    assert "managedFields" in item["metadata"]


def test_lists_are_by_resource_and_namespace() -> None:
    """Equal names in other namespaces and of other resources are other objects."""
    store = Store()
    store.put(PODS, pod("a", 1))
    store.put(PODS, pod("b", 1, namespace="other"))
    store.put(MODELS, pod("a", 1))
    assert names(store.list(PODS)) == ["a", "b"]
    assert names(store.list(PODS, "ns")) == ["a"]
    assert names(store.list(MODELS)) == ["a"]
    assert store.get(PODS, "ns", "b") is None


def test_the_label_index_follows_changes_and_deletions() -> None:
    """An object is found under its present labels only, by index and by scan alike."""
    store = Store()
    store.put(PODS, pod("a", 1, model="x", app="one"))
    store.put(PODS, pod("b", 2, model="x", app="one"))
    assert names(store.by_label(PODS, "ns", LABEL, "x")) == ["a", "b"]
    store.put(PODS, pod("a", 3, model="y", app="two"))
    assert names(store.by_label(PODS, "ns", LABEL, "x")) == ["b"]
    assert names(store.by_label(PODS, "ns", LABEL, "y")) == ["a"]
    assert names(store.by_label(PODS, "ns", "app", "two")) == ["a"]
    store.drop(PODS, pod("a", 4))
    assert store.by_label(PODS, "ns", LABEL, "y") == []
    assert store.by_label(PODS, "other", LABEL, "x") == []


def test_an_older_state_never_replaces_a_newer_one() -> None:
    """Our write's answer may overtake the watch's events."""
    store = Store()
    assert store.put(PODS, pod("a", 10))
    assert not store.put(PODS, pod("a", 9))
    assert (store.get(PODS, "ns", "a") or {})["metadata"]["resourceVersion"] == "10"


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    """A server with other versions loses the guard, not the function."""
    store = Store()
    assert store.put(PODS, pod("a", "zz"))
    assert store.put(PODS, pod("a", "aa"))
    assert (store.get(PODS, "ns", "a") or {})["metadata"]["resourceVersion"] == "aa"


def test_a_late_state_does_not_raise_the_dead() -> None:
    """A list that was asked before a deletion arrives after it."""
    store = Store()
    store.put(PODS, pod("a", 5))
    assert store.drop(PODS, pod("a", 8))
    assert not store.put(PODS, pod("a", 7))
    assert store.replace(PODS, [pod("a", 5)], version="7") == []
    assert store.get(PODS, "ns", "a") is None
    assert store.put(PODS, pod("a", 9, uid="another"))


def test_the_deletion_of_a_predecessor_does_not_drop_its_successor() -> None:
    """Deleted and made again under one name: the late DELETED is about the old one."""
    store = Store()
    store.put(PODS, pod("a", 20, uid="new"))
    assert not store.drop(PODS, pod("a", 15, uid="old"))
    assert store.get(PODS, "ns", "a") is not None


def test_replace_tells_what_came_changed_and_went() -> None:
    """The differences of a resync, each with both states."""
    store = Store()
    for item in (pod("same", 1), pod("changed", 1), pod("gone", 1)):
        store.put(PODS, item)
    changes = store.replace(PODS, [pod("same", 1), pod("changed", 5), pod("new", 6)], version="7")
    told = {
        one.name: (
            one.old and one.old["metadata"]["resourceVersion"],
            one.new and one.new["metadata"]["resourceVersion"],
        )
        for one in changes
    }
    assert told == {"changed": ("1", "5"), "new": (None, "6"), "gone": ("1", None)}
    assert names(store.list(PODS)) == ["changed", "new", "same"]


def test_replace_keeps_what_a_watch_told_after_the_list() -> None:
    """An object made while the pages were fetched is not "gone"."""
    store = Store()
    store.put(PODS, pod("made-later", 12))
    assert store.replace(PODS, [], version="10") == []
    assert names(store.list(PODS)) == ["made-later"]


def test_replace_of_one_namespace_leaves_the_others() -> None:
    """With MODELRUNNER_WATCH_NAMESPACES each namespace is listed by itself."""
    store = Store()
    store.put(PODS, pod("a", 1))
    store.put(PODS, pod("b", 1, namespace="other"))
    store.replace(PODS, [], namespace="ns", version="5")
    assert names(store.list(PODS)) == ["b"]


def test_a_revision_changes_with_every_change_of_a_resource() -> None:
    """And with nothing else: not with late states, not with other resources."""
    store, seen = Store(), [0]

    def changed() -> bool:
        seen.append(store.revision(PODS))
        return seen[-1] != seen[-2]

    assert store.revision(PODS) == 0
    store.put(PODS, pod("a", 2))
    assert changed()
    store.put(PODS, pod("a", 1))
    store.put(MODELS, pod("a", 9))
    store.drop(PODS, pod("b", 9))
    assert not changed()
    store.drop(PODS, pod("a", 3))
    assert changed()
    store.replace(PODS, [pod("a", 5)], version="6")
    assert changed()
    store.replace(PODS, [], version="7")
    assert changed()


def test_tombstones_are_bounded() -> None:
    """Years of deletions do not fill the memory."""
    store = Store()
    for number in range(10_100):
        store.drop(PODS, pod(f"p{number}", number))
    assert len(store._dropped) == 10_000


@given(st.permutations(range(1, 8)), st.integers(1, 7))
def test_events_in_any_order_end_in_the_newest_state(order: list[int], deleted: int) -> None:
    """States 1…7 of an object, one of them its deletion, in any order: the last one counts."""
    store = Store()
    for version in order:
        if version == deleted:
            store.drop(PODS, pod("a", version))
        elif version < deleted:
            store.put(PODS, pod("a", version))
    assert store.get(PODS, "ns", "a") is None
