"""One model as the gateway knows it, and the choice among its endpoints."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelrunner.gateway.messages import Endpoint

DEFAULT_MAX_HELD: Final = 100
DEFAULT_HOLD_TIMEOUT: Final = 300.0
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a model does not serve, in the words of its conditions.

    `hopeless`: it stays so until somebody acts, so waiting for it is in vain.
    """

    reason: str
    message: str
    hopeless: bool


@dataclass(slots=True, eq=False)
class ModelEntry:
    """A Model and its endpoints. Changed in place, so whoever waits for it may keep it.

    `ready` and `starting` are replaced as wholes, never changed: a copy is not needed to walk
    over them. `spec` and `status` are the object's own, as they came, for the catalogue. `refresh`
    is the newest request to look whether its source has moved. `generation` is the spec's: what the
    status says of an older one is not yet about the settings that are there now.
    `in_flight` counts this process's requests; whoever enforces limits counts. `hold_timeout` is
    in seconds. `concurrent` and `per_minute` bound each gateway process; None is no bound.
    `gone`: the Model was deleted; an entry never comes back.
    """

    namespace: str
    name: str
    uid: str
    created: str = ""
    version: str = ""
    generation: int = 0
    aliases: tuple[str, ...] = ()
    engine: str = ""
    mode: str = "completion"
    phase: str = ""
    trouble: Trouble | None = None
    asleep: bool = False
    max_held: int = DEFAULT_MAX_HELD
    hold_timeout: float = DEFAULT_HOLD_TIMEOUT
    concurrent: int | None = None
    per_minute: int | None = None
    ready: list[Endpoint] = field(default_factory=list)
    starting: list[Endpoint] = field(default_factory=list)
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    refresh: str = ""
    gone: bool = False
    in_flight: int = 0
    _turn: int = 0

    @property
    def path(self) -> str:
        """`namespace/name`, the name that is its alone."""
        return f"{self.namespace}/{self.name}"

    @property
    def identity(self) -> str:
        """Docker Model Runner's ID of a model: `sha256:` and 64 hexadecimal digits.

        The artifact's digest; where that is not known, one that is made of the Model's path.
        """
        artifact = self.status.get("artifact")
        digest = artifact.get("digest") if isinstance(artifact, Mapping) else None
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            return digest
        return f"sha256:{hashlib.sha256(self.path.encode()).hexdigest()}"

    def pick(self, now: float) -> Endpoint | None:
        """The least busy ready endpoint that does not rest; equally busy ones take turns.

        When all rest, the one whose rest ends first; None when there is none. `now` is the
        loop's clock.
        """
        ready = self.ready
        if len(ready) < 2:
            return ready[0] if ready else None
        count = len(ready)
        turn = self._turn = (self._turn + 1) % count
        best: Endpoint | None = None
        # Negative indices begin at `turn` and go round once.
        for index in range(turn - count, turn):
            found = ready[index]
            if found.rests_until <= now and (best is None or found.in_flight < best.in_flight):
                best = found
        return best if best is not None else min(ready, key=_rest)


def _rest(endpoint: Endpoint) -> float:
    return endpoint.rests_until
