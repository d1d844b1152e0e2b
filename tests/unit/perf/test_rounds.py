"""Sides that take turns, and the aims."""

from tests.perf.arena import Measurement
from tests.perf.load.generator import Durations, Report
from tests.perf.peers.side import Proxy
from tests.perf.rounds import Aim, complaints, take_turns


def _measured(cpu: float, errors: int = 0) -> Measurement:
    none = Durations(0, 0, 0, 0)
    report = Report(1.0, 100, 100, errors, 0, 0, 0, 0, 0, none, none, none)
    return Measurement(report, cpu, 1.0)


def _proxy(name: str) -> Proxy:
    return Proxy(name, "1", ("127.0.0.1", 1), 1)


def test_sides_are_measured_in_turn() -> None:
    """A B direct, A B direct: what slows the machine for a while hits all of them."""
    asked: list[str] = []

    def measure(proxy: Proxy | None) -> Measurement:
        asked.append(proxy.name if proxy else "direct")
        return _measured(1)

    found = take_turns([_proxy("a"), _proxy("b")], 2, measure)
    assert asked == ["a", "b", "direct"] * 2
    assert {name: len(measured) for name, measured in found.items()} == {
        "a": 2,
        "b": 2,
        "direct": 2,
    }


def test_an_aim_says_whether_it_is_met() -> None:
    """By the median of the rounds' ratios; no line when the peer was not measured."""
    rounds = {"gateway": [_measured(3), _measured(6)], "nginx": [_measured(2), _measured(4)]}
    aim = Aim("nginx", "CPU per request", lambda one: one.cpu_per_answer, 1.5)
    assert aim.told(rounds) == "CPU per request: 1.50 times nginx, aim ≤ 1.5: met"
    least = Aim("nginx", "req/s", lambda one: 1 / one.cpu, 0.7, at_most=False)
    assert least.told(rounds).endswith("aim ≥ 0.7: NOT met")
    assert not Aim("envoy", "CPU", lambda one: one.cpu, 1.5).told(rounds)


def test_lost_requests_are_told() -> None:
    """A side that answers with errors is fast, and must not look good."""
    rounds = {"gateway": [_measured(1)], "nginx": [_measured(1, errors=4), _measured(1)]}
    assert complaints(rounds) == ["  nginx: 4 broken"]
