"""What the pool calls its engines, and what it tells of them."""

from dataclasses import dataclass

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode


@dataclass(frozen=True, slots=True)
class Key:
    """What an engine is for: a model ("sha256:…") in a mode."""

    identity: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """How a model is to run in a mode."""

    identity: str
    mode: Mode
    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An engine that is loaded, or is being loaded. Sizes are bytes, times seconds.

    Attributes:
        name: The model as it was first asked for.
        last_used: Since the epoch.
        in_use: Whether somebody uses it, or waits for it to be loaded.
        keep_alive: How long it stays when nobody uses it; negative: for ever.
        size_bytes: What it was estimated to need.
        context: Tokens; None when nothing was decided about it.
        expires_at: Since the epoch; None while it is in use, and when it stays for ever.
    """

    identity: str
    name: str
    mode: Mode
    backend: str
    last_used: float
    in_use: bool
    loading: bool
    keep_alive: float
    size_bytes: int
    context: int | None = None
    expires_at: float | None = None
