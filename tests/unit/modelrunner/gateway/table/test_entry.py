"""The choice among a model's endpoints."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table.entry import ModelEntry

NOW = 100.0


def entry(*endpoints: Endpoint) -> ModelEntry:
    """A model with these ready endpoints."""
    return ModelEntry("ml", "m", "u", ready=list(endpoints))


def busy(in_flight: int, rests_until: float = 0.0) -> Endpoint:
    """An endpoint with requests in flight."""
    return Endpoint("p", ("198.18.0.1", 8080), in_flight=in_flight, rests_until=rests_until)


def test_nothing_ready_is_no_endpoint() -> None:
    """The caller holds the request then."""
    assert entry().pick(NOW) is None


def test_the_least_busy_one_is_chosen() -> None:
    """By this process's requests in flight."""
    least = busy(1)
    found = entry(busy(3), least, busy(2))
    assert all(found.pick(NOW) is least for _ in range(5))


def test_equally_busy_ones_take_turns() -> None:
    """One after the other, each as often."""
    model = entry(*[busy(0) for _ in range(3)])
    chosen = [id(model.pick(NOW)) for _ in range(30)]
    assert set(Counter(chosen).values()) == {10}
    assert chosen[:3] == chosen[3:6]


def test_a_resting_endpoint_is_passed_over() -> None:
    """However idle it is, until its rest is over."""
    resting, other = busy(0, rests_until=NOW + 1), busy(9)
    model = entry(resting, other)
    assert {id(model.pick(NOW)) for _ in range(4)} == {id(other)}
    assert model.pick(NOW + 1) is resting


def test_when_all_rest_the_shortest_rest_is_chosen() -> None:
    """A single endpoint that rests is therefore still the one to try."""
    shortest = busy(0, rests_until=NOW + 1)
    assert entry(busy(0, rests_until=NOW + 5), shortest).pick(NOW) is shortest
    assert entry(shortest).pick(NOW) is shortest


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, NOW + 1])), min_size=1))
def test_no_better_endpoint_is_left_out(state: list[tuple[int, float]]) -> None:
    """Whatever the loads and rests, and at every turn."""
    model = entry(*[busy(load, rest) for load, rest in state])
    awake = [load for load, rest in state if rest <= NOW]
    for _ in range(len(state) + 1):
        found = model.pick(NOW)
        assert found is not None
        if awake:
            assert found.rests_until <= NOW
            assert found.in_flight == min(awake)
