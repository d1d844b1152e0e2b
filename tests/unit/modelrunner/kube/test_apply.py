"""When to apply: whenever it may change something, and never twice for nothing."""

from typing import Any

from modelrunner.kube.apply import ApplyMemo, digest, needs_apply


def live(version: int = 1, **spec: Any) -> dict[str, Any]:
    """A stored object."""
    return {
        "metadata": {"name": "d", "uid": "u", "resourceVersion": str(version), "generation": 1},
        "spec": spec,
        "status": {"version": version},
    }


def wanted(**spec: Any) -> dict[str, Any]:
    """A manifest."""
    return {"metadata": {"name": "d"}, "spec": spec}


def test_what_is_not_there_is_applied() -> None:
    """A missing object is made."""
    assert needs_apply(wanted(a=1), None, ApplyMemo())


def test_what_is_there_already_is_not_applied_even_after_a_restart() -> None:
    """An empty memory costs no write."""
    assert not needs_apply(wanted(a=1), live(a=1, b=2), ApplyMemo())


def test_an_edit_by_hand_is_mended() -> None:
    """Also when the same manifest was applied before."""
    memo = ApplyMemo()
    memo.applied(wanted(a=1), live(1, a=1))
    assert needs_apply(wanted(a=1), live(2, a=5), memo)


def test_a_difference_the_server_insists_on_costs_one_apply() -> None:
    """A webhook that always writes another value is not fought."""
    memo = ApplyMemo()
    desired = wanted(a="mine")
    assert needs_apply(desired, live(1, a="theirs"), memo)
    memo.applied(desired, live(1, a="theirs"))
    assert not needs_apply(desired, live(1, a="theirs"), memo)
    # A new status is no reason either.
    assert not needs_apply(desired, live(2, a="theirs"), memo)
    assert needs_apply(desired, live(3, a="else"), memo)


def test_a_field_that_is_wanted_no_longer_is_a_reason() -> None:
    """Server-side apply then removes it, which a comparison of what is wanted cannot see."""
    memo = ApplyMemo()
    observed = live(1, a=1, b=2)
    assert not needs_apply(wanted(a=1, b=2), observed, memo)
    assert needs_apply(wanted(a=1), observed, memo)


def test_what_is_forgotten_is_compared_anew() -> None:
    """A deleted object's memory goes."""
    memo = ApplyMemo()
    memo.applied(wanted(a=1), live(1, a=2))
    memo.forget("u")
    assert memo.known("u") is None
    assert needs_apply(wanted(a=1), live(1, a=2), memo)


def test_the_memory_is_bounded() -> None:
    """The least recently applied objects are forgotten first."""
    memo = ApplyMemo(limit=2)
    for uid in "abc":
        memo.applied({}, {"metadata": {"uid": uid}})
    assert memo.known("a") is None
    assert memo.known("c") is not None


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    """Equal manifests are equal however they were built."""
    assert digest({"a": 1, "b": [1]}) == digest({"b": [1], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
