"""What a runner tells of itself, and what it is asked: its status and its door.

All messages are frozen dataclasses, carried as JSON by `codec`. Times are seconds; points in time
are seconds since the Unix epoch.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrunner_protocol.reasons import Reason

STATUS_PATH: Final = "/status"
"""GET on a runner: a `RunnerStatus`."""


CLOSE_PATH: Final = "/close"
"""POST of a `Closing` on a runner: 200 and a `RunnerStatus` when its door is closed, 409 and a
`RunnerStatus` when it is not, since somebody came in."""


OPEN_PATH: Final = "/open"
"""POST without a body on a runner: its door opens again; 200 and a `RunnerStatus`."""


HELD_PATH: Final = "/held"
"""POST of a `HeldReport` on a runner: 204."""


DRAINING_HEADER: Final = "X-Runner-Draining"
"""On a 503 of a runner that takes no new request: nothing of it was done, send it elsewhere."""


class RunnerState(StrEnum):
    """Where a runner is between its start and its end."""

    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStatus:
    """What a runner says of itself at `STATUS_PATH`.

    `listening_at`, `engine_ready_at` and `warmed_at` belong to the newest engine start.
    `reason` and `message` tell the last engine failure; they are kept until the engine is
    ready again. `in_flight` counts the requests inside, those that wait for the engine included;
    `slots` is how many the engine works on at once. `held` is what waits at the gateways.
    `keep_alive` is what the newest request that named one asked for (seconds, negative: for ever).
    `closed_until`: new requests are refused until then.
    """

    state: RunnerState
    started_at: float
    listening_at: float | None = None
    engine_ready_at: float | None = None
    warmed_at: float | None = None
    reason: Reason | None = None
    message: str = ""
    restarts: int = 0
    in_flight: int = 0
    last_used_at: float | None = None
    slots: int | None = None
    held: int = 0
    keep_alive: float | None = None
    closed_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Ask a runner to refuse new requests for `lease` seconds; then its door opens by itself.

    Without `drain` it agrees only when nothing is in flight, nothing waits at a gateway and nothing
    came in since `last_used_at`, as it told it. With `drain` it agrees always, and finishes what
    is in flight. A lease is more than 0 and at most 300 s.
    """

    lease: float = 30.0
    last_used_at: float | None = None
    drain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReport:
    """How many requests for this runner's model wait at the gateway replica `gateway`.

    Sent about once a second while there are any; a runner forgets it after five.
    """

    gateway: str
    held: int
