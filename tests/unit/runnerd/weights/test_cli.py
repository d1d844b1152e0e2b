"""How the commands end."""

import logging

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome, PullConfig
from runnerd import logs
from runnerd.weights import cli
from runnerd.weights.clock import Clock
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.settings import Settings


def test_fault_of_our_own_is_an_outcome_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, the operator hears of it; the stack is in the log alone."""

    async def broken(
        config: PullConfig, settings: Settings, meter: ProgressMeter, clock: Clock
    ) -> Outcome:
        meter.downloading(0)
        meter.add(5)
        meter.retrying("x")
        await clock.sleep(0.01)
        raise KeyError(config.key, settings)

    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    environment = {"RUNNERD_PULL": '{"source":{"http":{"url":"http://h/m"}},"key":"k"}'}
    with caplog.at_level(logging.ERROR):
        found, code = cli._run(broken, environment)
    assert (code, found.reason, found.retryable) == (1, Reason.PULL_FAILED, True)
    assert found.message.startswith("unexpected KeyError: ('k', Settings(")
    assert "Traceback" in caplog.text
    assert (found.downloaded_bytes, found.retries) == (5, 1)
    assert found.seconds > 0
