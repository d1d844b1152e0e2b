"""The access log: one JSON object for each request, or for some, or only for errors.

Never in it: bodies, keys, query strings, or anything else that a client may write at length.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from modelrunner.gateway.telemetry.exchange import Exchange

_encode: Final = msgspec.json.Encoder().encode


class AccessLog:
    """Tells `write` of requests: of all that failed, and of `share` (0 to 1) of the others.

    A request failed when its status is 400 or above, or when its answer was not taken or given to
    its end. Each line ends in a line feed.
    """

    def __init__(
        self,
        share: float,
        write: Callable[[bytes], None],
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._share = share
        self._write = write
        self._chance = chance

    def __call__(self, exchange: Exchange, now: float) -> None:
        """A request that ended at `now`, on the clock of its `received_at`."""
        share = self._share
        if (
            exchange.status < 400
            and exchange.outcome == "complete"
            and (share <= 0 or self._chance() >= share)
        ):
            return
        self._write(_encode(_line(exchange, now)) + b"\n")


def _line(exchange: Exchange, now: float) -> dict[str, Any]:
    entry = exchange.entry
    line: dict[str, Any] = {
        "time": datetime.now(tz=UTC).isoformat("T", "milliseconds"),
        "level": "info",
        "logger": "access",
        "requestId": exchange.request_id.decode("latin-1"),
        "client": exchange.client,
        "method": exchange.method,
        "route": exchange.route,
        "dialect": exchange.dialect,
        "model": entry.path if entry is not None else "",
        "key": exchange.key,
        "status": exchange.status,
        "code": exchange.code,
        "outcome": exchange.outcome,
        "endpoint": exchange.endpoint,
        "stream": exchange.stream,
        "seconds": round(now - exchange.received_at, 6),
    }
    if exchange.first_byte_at:
        line["firstByteSeconds"] = round(exchange.first_byte_at - exchange.received_at, 6)
    if exchange.held:
        line["heldSeconds"] = round(exchange.held, 6)
    if exchange.tokens_in >= 0:
        line["tokensIn"] = exchange.tokens_in
    if exchange.tokens_out >= 0:
        line["tokensOut"] = exchange.tokens_out
    return line
