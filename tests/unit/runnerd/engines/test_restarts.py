"""When an engine is started again."""

from hypothesis import given
from hypothesis import strategies as st

from runnerd.engines.restarts import ATTEMPTS, Backoff, Delays


def _still() -> float:
    return 0.0


def test_gives_up_what_never_worked() -> None:
    """1, 2, 4, 8 seconds, then never again."""
    backoff = Backoff(Delays(), _still)
    assert [backoff.failed(None) for _ in range(ATTEMPTS)] == [1, 2, 4, 8, None]


def test_never_gives_up_what_worked() -> None:
    """After one success the pauses grow to the longest, and no further."""
    backoff = Backoff(Delays(), _still)
    pauses = [backoff.failed(1.0)] + [backoff.failed(None) for _ in range(2000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 300


def test_health_is_forgiving() -> None:
    """Ten minutes of health start the pauses over."""
    backoff = Backoff(Delays(), _still)
    for _ in range(6):
        backoff.failed(1.0)
    assert backoff.failed(599) == 64
    assert backoff.failed(600) == 1


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 60))
def test_jitter(share: float, count: int) -> None:
    """Jitter shortens a pause by a fifth at most, and never lengthens it."""
    plain, jittered = Backoff(Delays(), _still), Backoff(Delays(), lambda: share)
    for _ in range(count):
        whole, pause = plain.failed(1.0), jittered.failed(1.0)
        assert whole is not None
        assert pause is not None
        assert 0.8 * whole <= pause <= whole
