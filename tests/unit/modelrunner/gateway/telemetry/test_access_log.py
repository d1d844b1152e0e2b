"""The access log: who asked for what and how it ended, and nothing that is secret."""

import json

import pytest

from modelrunner.gateway.telemetry.access_log import AccessLog
from modelrunner.gateway.telemetry.exchange import Exchange
from tests.unit.modelrunner.gateway.telemetry.exchanges import exchange, model


def lines(share: float, *exchanges: Exchange, chance: float = 0.5) -> list[bytes]:
    """What is written of these."""
    written: list[bytes] = []
    log = AccessLog(share, written.append, chance=lambda: chance)
    for one in exchanges:
        log(one, 101.25)
    return written


def test_a_line_tells_all_of_a_request() -> None:
    """One JSON object, one line."""
    done = exchange(
        model(),
        key="team-a",
        stream=True,
        first_byte_at=100.5,
        held=0.25,
        tokens_in=3,
        tokens_out=9,
    )
    (line,) = lines(1.0, done)
    assert line.endswith(b"}\n")
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "info",
        "logger": "access",
        "requestId": "id-1",
        "client": "10.0.0.9",
        "method": "POST",
        "route": "chat_completions",
        "dialect": "openai",
        "model": "ml/smollm2",
        "key": "team-a",
        "status": 200,
        "code": "",
        "outcome": "complete",
        "endpoint": "smollm2-0",
        "stream": True,
        "seconds": 1.25,
        "firstByteSeconds": 0.5,
        "heldSeconds": 0.25,
        "tokensIn": 3,
        "tokensOut": 9,
    }


def test_what_did_not_happen_is_not_told() -> None:
    """No zero stands for "unknown"."""
    told = json.loads(lines(1.0, exchange(None, 404, code="model_not_found"))[0])
    assert told["model"] == ""
    assert not {"firstByteSeconds", "heldSeconds", "tokensIn", "tokensOut"} & told.keys()


@pytest.mark.parametrize(("share", "good"), [(0.0, 0), (0.4, 0), (0.6, 1), (1.0, 1)])
def test_errors_always_and_a_share_of_the_rest(share: float, good: int) -> None:
    """The chance here is one half."""
    failed = [exchange(None, 401), exchange(model(), outcome="broken_off"), exchange(model(), 502)]
    assert len(lines(share, *failed)) == 3
    assert len(lines(share, exchange(model()))) == good


def test_a_line_cannot_be_broken_by_a_client() -> None:
    """A request ID with a quote or a line feed stays a string."""
    (line,) = lines(1.0, exchange(model(), request_id=b'x"\n\xff'))
    assert line.count(b"\n") == 1
    assert json.loads(line)["requestId"] == 'x"\n\xff'
