"""Readings of raw objects, and merge patches."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.kube.objects import (
    labels_of,
    merge_patch,
    metadata,
    name_of,
    namespace_of,
    uid_of,
    version_of,
)

KEYS = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_turns_the_old_into_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whatever changed, came or went."""
    assert merged(old, merge_patch(old, new)) == new


@given(OBJECTS)
def test_equal_objects_need_no_patch(value: dict[str, Any]) -> None:
    """An empty patch is no write."""
    assert merge_patch(value, value) == {}


def test_objects_without_metadata_are_read_as_empty() -> None:
    """Half an object from a strange server raises nothing."""
    for item in ({}, {"metadata": None}):
        assert metadata(item) == {}
        assert (name_of(item), namespace_of(item), uid_of(item)) == ("", "", "")
        assert labels_of(item) == {}
        assert version_of(item) is None


def test_only_numbers_are_versions() -> None:
    """Other servers' versions are opaque."""
    assert version_of({"metadata": {"resourceVersion": "12"}}) == 12
    assert version_of({"metadata": {"resourceVersion": "1.2"}}) is None
