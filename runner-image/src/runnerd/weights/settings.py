"""Settings of a pull that the environment may change; durations are Go durations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from modelrunner_protocol.durations import parse_duration

RESOLVE_TIMEOUT: Final = "RUNNERD_RESOLVE_TIMEOUT"
STALL_TIMEOUT: Final = "RUNNERD_PULL_STALL_TIMEOUT"
GIVE_UP_AFTER: Final = "RUNNERD_PULL_GIVE_UP_AFTER"
MIRRORS: Final = "RUNNERD_REGISTRY_MIRRORS"
TERMINATION_LOG: Final = "TERMINATION_LOG"
LOG_LEVEL: Final = "LOG_LEVEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How patient a pull is, and where else it may look. Times are seconds.

    Attributes:
        resolve_timeout: Transient errors are retried for so long while resolving.
        stall_timeout: A connection without a byte for so long is given up and made anew.
        give_up_after: A pull that comes no further for so long fails; a new Job may retry it.
        mirrors: By registry the URLs of its mirrors, which are asked before it, in this order.
    """

    # Short: while it lasts nobody is told, and the operator tries again with back-off.
    resolve_timeout: float = 15.0
    stall_timeout: float = 60.0
    give_up_after: float = 600.0
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
