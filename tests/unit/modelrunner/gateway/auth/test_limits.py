"""Limits of keys and models: at once and a minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.auth.key import ApiKey
from modelrunner.gateway.auth.limits import Limits
from tests.unit.modelrunner.gateway.auth.conftest import Clock, model


def test_without_limits_everything_enters_and_is_counted() -> None:
    """The counts are there for whoever shows them."""
    limits, entry, key = Limits(), model(), ApiKey("k", b"")
    for _ in range(1000):
        assert limits.enter(None, entry) is None
        assert limits.enter(key, entry) is None
    assert (entry.in_flight, key.usage.in_flight) == (2000, 1000)
    for _ in range(1000):
        limits.leave(None, entry)
        limits.leave(key, entry)
    assert (entry.in_flight, key.usage.in_flight) == (0, 0)


@pytest.mark.parametrize("whose", ["key", "model"])
def test_requests_at_once(whose: str) -> None:
    """One too many is refused until one leaves."""
    limits = Limits()
    entry = model(concurrent=2 if whose == "model" else None)
    key = ApiKey("k", b"", concurrent=2 if whose == "key" else None)
    assert limits.enter(key, entry) is None
    assert limits.enter(key, entry) is None
    refusal = limits.enter(key, entry)
    assert refusal is not None
    assert (refusal.code, refusal.retry_after) == ("concurrency_limit_exceeded", 1.0)
    assert "2 requests running" in refusal.message
    assert (entry.in_flight, key.usage.in_flight) == (2, 2)
    limits.leave(key, entry)
    assert limits.enter(key, entry) is None


@pytest.mark.parametrize("whose", ["key", "model"])
def test_requests_a_minute(whose: str) -> None:
    """A minute's worth may come at once, then one every so many seconds; Retry-After is right."""
    clock = Clock()
    limits = Limits(clock)
    entry = model(per_minute=6 if whose == "model" else None)
    key = ApiKey("k", b"", per_minute=6 if whose == "key" else None)
    assert [limits.enter(key, entry) for _ in range(6)] == [None] * 6
    refusal = limits.enter(key, entry)
    assert refusal is not None
    assert (refusal.code, refusal.retry_after) == ("rate_limit_exceeded", 10.0)
    assert "6 times a minute" in refusal.message
    clock.now += 9.5
    again = limits.enter(key, entry)
    assert again is not None
    assert again.retry_after == 1.0
    clock.now += again.retry_after
    assert limits.enter(key, entry) is None
    assert limits.enter(key, entry) is not None
    clock.now += 3600
    assert [limits.enter(key, entry) is None for _ in range(7)] == [True] * 6 + [False]


def test_what_the_model_refuses_costs_the_key_nothing() -> None:
    """Neither a place nor a token is taken by a request that does not run."""
    limits = Limits(Clock())
    key = ApiKey("k", b"", concurrent=2, per_minute=2)
    for busy in (model(name="rate", per_minute=1), model(name="places", concurrent=1)):
        assert limits.enter(None, busy) is None
        for _ in range(10):
            assert limits.enter(key, busy) is not None
    other = model(name="other")
    assert limits.enter(key, other) is None
    assert limits.enter(key, other) is None
    assert limits.enter(key, other) is not None


def test_what_the_key_may_not_costs_the_model_nothing() -> None:
    """One client at its limit takes nothing from the others."""
    limits, entry = Limits(Clock()), model(per_minute=2)
    spent = ApiKey("k", b"", per_minute=1)
    assert limits.enter(spent, model(name="other")) is None
    for _ in range(10):
        assert limits.enter(spent, entry) is not None
    assert [limits.enter(None, entry) is None for _ in range(3)] == [True, True, False]


def test_a_lowered_limit_lowers_what_was_saved() -> None:
    """And a raised one fills at its new pace."""
    clock = Clock()
    limits, entry, key = Limits(clock), model(), ApiKey("k", b"", per_minute=600)
    assert limits.enter(key, entry) is None
    key.per_minute = 2
    assert [limits.enter(key, entry) is None for _ in range(3)] == [True, True, False]
    key.per_minute = 600
    clock.now += 1.0
    assert [limits.enter(key, entry) is None for _ in range(11)] == [True] * 10 + [False]


def test_each_model_has_its_own_minute() -> None:
    """A new Model of an old name begins anew, and many models cost bounded memory."""
    clock = Clock()
    limits = Limits(clock)
    first = model(per_minute=1)
    assert limits.enter(None, first) is None
    assert limits.enter(None, first) is not None
    second = model(per_minute=1)
    second.uid = "another"
    assert limits.enter(None, second) is None
    for number in range(5000):
        clock.now += 1.0
        assert limits.enter(None, model(name=f"m{number}", per_minute=1)) is None
    assert len(limits._models) <= 1024


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 20))
def test_never_more_than_burst_and_pace(pauses: list[float], per_minute: int) -> None:
    """In any time t at most a minute's worth and t's share get through; a wait told suffices."""
    clock = Clock(0.0)
    limits, entry = Limits(clock), model(per_minute=per_minute)
    for entered, pause in enumerate(pauses, 1):
        clock.now += pause
        refusal = limits.enter(None, entry)
        if refusal is not None:
            clock.now += refusal.retry_after
            assert limits.enter(None, entry) is None
        assert entered <= per_minute + clock.now * per_minute / 60 + 1e-6
