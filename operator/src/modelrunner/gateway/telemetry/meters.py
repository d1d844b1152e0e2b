"""The gateway's counters: plain numbers, written in the event loop, rendered when asked for.

    meters = Meters(log)
    exchange = Exchange(request.id, request.client, request.method, route, dialect, received_at)
    …                                      # fill in what is learned
    meters.finished(exchange, now, tail)   # once, at the end of each request

A model's series begin with its first request and end with `drop`; what is no model's (unknown
names, refusals before a model was found, the back office) has the empty name.
"""

from collections.abc import Callable
from typing import Final, Literal

from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.exchange import Exchange
from modelrunner.gateway.telemetry.histogram import Histogram
from modelrunner.gateway.telemetry.usage import usage

Wake = Literal["ready", "failed", "timeout", "refused"]
"""How a wake ended: a runner was ready; the Model told that it cannot; nothing came in the time
that anybody waited; the API server did not let us."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_CODES: Final = 64


class ModelMeter:
    """The numbers of one model. `requests` by route, dialect and class of status (0: none)."""

    __slots__ = (
        "cold_start",
        "first_byte",
        "held",
        "hold",
        "incomplete",
        "requests",
        "seconds",
        "tokens_in",
        "tokens_out",
        "wakes",
    )

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.incomplete: dict[str, int] = {}
        self.wakes: dict[str, int] = {}
        self.seconds = Histogram(SECONDS)
        self.first_byte = Histogram(SECONDS)
        self.hold = Histogram(SECONDS)
        self.cold_start = Histogram(SECONDS)
        self.held = 0
        self.tokens_in = 0
        self.tokens_out = 0


class Meters:
    """All counters of the process. `log` is told of each request that ended."""

    def __init__(self, log: Callable[[Exchange, float], None] | None = None) -> None:
        self.models: dict[ModelEntry, ModelMeter] = {}
        self.nobody = ModelMeter()
        self.rejected: dict[str, int] = {}
        self._log = log

    def finished(self, exchange: Exchange, now: float, tail: bytes = b"") -> None:
        """Count a request that ended at `now`; `tail` are the last bytes of its answer."""
        entry = exchange.entry
        meter = self.nobody if entry is None else self.models.get(entry) or self._begin(entry)
        status = exchange.status
        kind = (exchange.route, exchange.dialect, status // 100)
        requests = meter.requests
        requests[kind] = requests.get(kind, 0) + 1
        meter.seconds.observe(now - exchange.received_at)
        if exchange.first_byte_at and exchange.stream:
            meter.first_byte.observe(exchange.first_byte_at - exchange.received_at)
        if exchange.held:
            meter.hold.observe(exchange.held)
        if exchange.outcome != "complete":
            meter.incomplete[exchange.outcome] = meter.incomplete.get(exchange.outcome, 0) + 1
        if tail and 200 <= status < 300:
            taken, given = exchange.tokens_in, exchange.tokens_out = usage(tail)
            if taken > 0:
                meter.tokens_in += taken
            if given > 0:
                meter.tokens_out += given
        elif status >= 400 and not exchange.endpoint:
            self.refused(exchange.code)
        if self._log is not None:
            self._log(exchange, now)

    def refused(self, code: str) -> None:
        """Count an answer that no endpoint gave; `finished` does so for its own."""
        if code not in self.rejected and len(self.rejected) >= _CODES:
            code = "other"
        self.rejected[code] = self.rejected.get(code, 0) + 1

    def held(self, entry: ModelEntry, change: Literal[1, -1]) -> None:
        """A request begins to wait for the model, or waits no more."""
        if not entry.gone:
            self._of(entry).held += change

    def wake(self, entry: ModelEntry, result: Wake, seconds: float) -> None:
        """A wake that ended, `seconds` after it was begun; once however many waited."""
        meter = self._of(entry)
        meter.wakes[result] = meter.wakes.get(result, 0) + 1
        if result == "ready":
            meter.cold_start.observe(seconds)

    def drop(self, entry: ModelEntry) -> None:
        """End the series of a deleted model."""
        self.models.pop(entry, None)

    def _of(self, entry: ModelEntry) -> ModelMeter:
        return self.models.get(entry) or self._begin(entry)

    def _begin(self, entry: ModelEntry) -> ModelMeter:
        if entry.gone:
            # It was dropped already: what still ends of it must not bring its series back.
            return self.nobody
        meter = self.models[entry] = ModelMeter()
        return meter
