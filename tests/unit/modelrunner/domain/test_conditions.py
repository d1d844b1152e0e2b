"""Conditions as kstatus reads them."""

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.conditions import (
    cached,
    find,
    merge,
    not_cached,
    not_ready,
    ready,
    reconciling,
    shorten,
    stalled,
)
from modelrunner_protocol.reasons import Reason


def test_the_time_moves_only_with_the_status() -> None:
    """Another reason or message keeps lastTransitionTime; another status moves it."""
    first = merge([], [not_ready(Reason.PULLING, "a")], generation=1, now=0)
    second = merge(first, [not_ready(Reason.STARTING, "b")], generation=2, now=60)
    assert second[0]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert (second[0]["reason"], second[0]["observedGeneration"]) == ("Starting", 2)
    third = merge(second, [ready(Reason.READY, "c")], generation=2, now=120)
    assert third[0]["lastTransitionTime"] == "1970-01-01T00:02:00Z"


def test_what_is_not_said_is_gone() -> None:
    """Reconciling and Stalled are absent when nobody says them: their absence is good news."""
    old = merge(
        [], [reconciling(Reason.PULLING, ""), stalled(Reason.PULL_FAILED, "")], generation=1, now=0
    )
    new = merge(old, [ready(Reason.READY, ""), cached("")], generation=1, now=1)
    assert [one["type"] for one in new] == ["Ready", "Cached"]
    assert {one["status"] for one in new} == {"True"}


def test_the_same_verdicts_give_the_same_list() -> None:
    """A second look at an unchanged world is no reason to write."""
    verdicts = [not_ready(Reason.PULLING, "a"), not_cached(Reason.PULLING, "a")]
    first = merge([], verdicts, generation=1, now=0)
    assert merge(first, verdicts, generation=1, now=999) == first


def test_finding() -> None:
    """A condition by its type, None without one."""
    status = {"conditions": merge([], [ready(Reason.READY, "")], generation=1, now=0)}
    assert find(status, ConditionType.READY) == status["conditions"][0]
    assert find(status, ConditionType.STALLED) is None
    assert find(None, ConditionType.READY) is None


def test_long_messages_keep_both_ends() -> None:
    """The beginning says where, the end says why."""
    text = shorten("a" * 5000 + "z" * 5000, 100)
    assert len(text) <= 100
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert shorten("short") == "short"
