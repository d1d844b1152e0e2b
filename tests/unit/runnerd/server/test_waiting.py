"""What the gateways hold."""

from modelrunner_protocol.runner import HeldReport
from runnerd.server.waiting import FORGOTTEN_AFTER, MOST_GATEWAYS, Waiting


def test_newest_report_of_each_gateway_counts() -> None:
    """Reports of one gateway replace each other, those of several add up, zero ends one."""
    waiting = Waiting(lambda: 100.0)
    assert waiting.total == 0
    for gateway, held, total in (("a", 3, 3), ("b", 4, 7), ("a", 1, 5), ("b", 0, 1), ("c", 0, 1)):
        waiting.report(HeldReport(gateway=gateway, held=held))
        assert waiting.total == total


def test_silent_gateways_are_forgotten() -> None:
    """A gateway that died holds nothing any more, and nobody has to notice its death."""
    now = 0.0
    waiting = Waiting(lambda: now)
    waiting.report(HeldReport(gateway="a", held=3))
    now = FORGOTTEN_AFTER - 0.1
    waiting.report(HeldReport(gateway="b", held=2))
    assert waiting.total == 5
    now = FORGOTTEN_AFTER
    assert waiting.total == 2
    now = 2 * FORGOTTEN_AFTER
    assert waiting.total == 0


def test_memory_is_bounded() -> None:
    """Of any number of names only so many are kept, those that spoke last."""
    waiting = Waiting(lambda: 0.0)
    waiting.report(HeldReport(gateway="first", held=1000))
    for number in range(10 * MOST_GATEWAYS):
        waiting.report(HeldReport(gateway=f"g{number}", held=1))
    assert waiting.total == MOST_GATEWAYS
