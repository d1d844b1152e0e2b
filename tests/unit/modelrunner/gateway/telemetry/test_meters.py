"""Counters: each request once, and no series that nobody bounds."""

from typing import TYPE_CHECKING

from modelrunner.gateway.telemetry.meters import Meters
from tests.unit.modelrunner.gateway.telemetry.exchanges import exchange, model

if TYPE_CHECKING:
    from modelrunner.gateway.telemetry.exchange import Exchange

CHAT = ("chat_completions", "openai")
USAGE = b'{"usage":{"prompt_tokens":30,"completion_tokens":12}}'


def test_a_request_is_counted_once_with_all_it_tells() -> None:
    """Status class, seconds, first token, hold and tokens of one streamed chat."""
    meters, entry = Meters(), model()
    meters.finished(exchange(entry, stream=True, first_byte_at=100.4, held=0.3), 102.0, USAGE)
    meter = meters.models[entry]
    assert meter.requests == {(*CHAT, 2): 1}
    assert (meter.seconds.total, sum(meter.seconds.counts)) == (2.0, 1)
    assert round(meter.first_byte.total, 6) == 0.4
    assert meter.hold.total == 0.3
    assert (meter.tokens_in, meter.tokens_out) == (30, 12)
    assert meters.rejected == {}


def test_the_first_byte_of_a_whole_answer_is_no_first_token() -> None:
    """An answer that is not streamed begins when it is complete."""
    meters, entry = Meters(), model()
    meters.finished(exchange(entry, first_byte_at=101.0), 101.0)
    assert sum(meters.models[entry].first_byte.counts) == 0


def test_an_error_of_our_own_is_a_rejection_and_one_of_a_runner_is_not() -> None:
    """Whoever looks for what the gateway refuses finds that only."""
    meters, entry = Meters(), model()
    meters.finished(exchange(entry, 429, code="queue_full"), 100.1)
    meters.finished(exchange(entry, 500, endpoint="smollm2-0"), 100.1, USAGE)
    assert meters.rejected == {"queue_full": 1}
    assert meters.models[entry].requests == {(*CHAT, 4): 1, (*CHAT, 5): 1}
    assert meters.models[entry].tokens_in == 0


def test_unknown_models_make_no_series() -> None:
    """A client that asks for a million names makes one series."""
    meters = Meters()
    for _ in range(1000):
        meters.finished(exchange(None, 404, code="model_not_found"), 100.1)
    assert meters.models == {}
    assert meters.nobody.requests == {(*CHAT, 4): 1000}
    assert meters.rejected == {"model_not_found": 1000}


def test_codes_without_end_end_in_one() -> None:
    """A Model's reasons are codes too; what could write them without bound is bounded."""
    meters = Meters()
    for number in range(500):
        meters.refused(f"Reason{number}")
    assert len(meters.rejected) == 65
    assert meters.rejected["other"] == 500 - 64


def test_a_deleted_model_takes_its_series_along_and_leaves_none() -> None:
    """What still ends of it is counted, but not under its name."""
    meters, entry = Meters(), model()
    meters.finished(exchange(entry), 101.0)
    entry.gone = True
    meters.drop(entry)
    meters.finished(exchange(entry), 101.0)
    meters.held(entry, -1)
    assert meters.models == {}
    assert meters.nobody.requests == {(*CHAT, 2): 1}


def test_wakes_are_counted_by_result_and_timed_when_they_worked() -> None:
    """A wake that failed is no cold start."""
    meters, entry = Meters(), model()
    meters.wake(entry, "ready", 0.7)
    meters.wake(entry, "failed", 30.0)
    meter = meters.models[entry]
    assert meter.wakes == {"ready": 1, "failed": 1}
    assert meter.cold_start.total == 0.7


def test_who_waits_is_counted_up_and_down() -> None:
    """A gauge of the line, without walking over it."""
    meters, entry = Meters(), model()
    meters.held(entry, 1)
    meters.held(entry, 1)
    meters.held(entry, -1)
    assert meters.models[entry].held == 1


def test_the_log_is_told_what_was_learned() -> None:
    """Tokens included, which only the end tells."""
    told: list[tuple[Exchange, float]] = []
    meters = Meters(lambda *what: told.append(what))
    meters.finished(exchange(model(), outcome="client_left"), 101.5, USAGE)
    found, now = told[0]
    assert (found.tokens_in, found.tokens_out, now) == (30, 12, 101.5)
