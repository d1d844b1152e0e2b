"""Settings of a pull that the environment may change; durations are Go durations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from modelrunner_protocol.durations import parse_duration

RESOLVE_TIMEOUT: Final = "RUNNERD_RESOLVE_TIMEOUT"
STALL_TIMEOUT: Final = "RUNNERD_PULL_STALL_TIMEOUT"
GIVE_UP_AFTER: Final = "RUNNERD_PULL_GIVE_UP_AFTER"
TIMEOUT: Final = "RUNNERD_PULL_TIMEOUT"
BANDWIDTH: Final = "RUNNERD_PULL_BANDWIDTH"
CONNECTIONS: Final = "RUNNERD_PULL_CONNECTIONS"
MIRRORS: Final = "RUNNERD_REGISTRY_MIRRORS"
TERMINATION_LOG: Final = "TERMINATION_LOG"
LOG_LEVEL: Final = "LOG_LEVEL"

CONNECT_TIMEOUT: Final = 15.0
"""Seconds that making a connection may take, whatever the environment says."""

_MOST_CONNECTIONS: Final = 32
_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)((?:[KMGT]i?)?)")
_UNITS: Final = {"": 1} | {
    unit: base**power
    for power, letter in enumerate("KMGT", 1)
    for unit, base in ((letter, 1000), (f"{letter}i", 1024))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How patient a pull is, and where else it may look. Times are seconds.

    Attributes:
        resolve_timeout: Transient errors are retried for so long while resolving.
        stall_timeout: A connection without a byte for so long is given up and made anew.
        give_up_after: A pull that comes no further for so long fails; a new Job may retry it.
        timeout: A pull that is not done by then fails, and goes on with the next try; None: no end.
        bandwidth: Bytes a second at most, of all connections together; 0: any number.
        connections: Parts of a large file are fetched side by side over so many at most.
        mirrors: By registry the URLs of its mirrors, which are asked before it, in this order.
    """

    # Short: while it lasts nobody is told, and the operator tries again with back-off.
    resolve_timeout: float = 15.0
    stall_timeout: float = 60.0
    give_up_after: float = 600.0
    timeout: float | None = None
    bandwidth: float = 0.0
    connections: int = 4
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that are named above, all of which may be absent.

        Raises:
            ValueError: a value cannot be read; the message names the variable.
        """
        defaults = cls()
        return cls(
            resolve_timeout=_seconds(environment, RESOLVE_TIMEOUT, defaults.resolve_timeout),
            stall_timeout=_seconds(environment, STALL_TIMEOUT, defaults.stall_timeout),
            give_up_after=_seconds(environment, GIVE_UP_AFTER, defaults.give_up_after),
            timeout=_seconds(environment, TIMEOUT, 0.0) or None,
            bandwidth=_rate(environment.get(BANDWIDTH, "")),
            connections=_connections(environment.get(CONNECTIONS, "")) or defaults.connections,
            mirrors=_mirrors(environment.get(MIRRORS, "")),
        )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if seconds <= 0:
        raise ValueError(f"{name}: {text!r} is not a positive duration")
    return seconds


def _rate(text: str) -> float:
    """Bytes a second of "100Mi", "2G" or "5000000"; 0 for nothing."""
    found = _RATE.fullmatch(text)
    if text and (found is None or not float(found[1])):
        raise ValueError(
            f"{BANDWIDTH}: {text[:80]!r} is not a number of bytes a second, such as 100Mi or 50M"
        )
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _connections(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_CONNECTIONS:
        raise ValueError(
            f"{CONNECTIONS}: {text[:80]!r} is not a number from 1 to {_MOST_CONNECTIONS}"
        )
    return int(text)


def _mirrors(text: str) -> dict[str, tuple[str, ...]]:
    """`docker.io=https://mirror.example.com,ghcr.io=…`; a registry may be named again."""
    found: dict[str, tuple[str, ...]] = {}
    for item in text.replace(",", " ").split():
        registry, equals, url = item.partition("=")
        host = url.removeprefix("https://").removeprefix("http://")
        if not equals or not registry or host == url or not host.strip("/") or "@" in host:
            raise ValueError(
                f"{MIRRORS}: {item[:80]!r} is not REGISTRY=URL, such as "
                "docker.io=https://mirror.example.com"
            )
        found[registry] = (*found.get(registry, ()), url.rstrip("/"))
    return found
