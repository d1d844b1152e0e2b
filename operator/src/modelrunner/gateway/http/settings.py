"""What the HTTP front allows."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSettings:
    """Limits in bytes, times in seconds.

    Times are kept by one sweep every `sweep_interval`: each may last up to two of them longer.
    """

    header_limit: int = 64 * 1024
    """Of a request's head as a whole, and of an endpoint's: 431."""

    target_limit: int = 8 * 1024
    """Of a request's target: 414."""

    body_limit: int = 64 * MIB
    """Of one request's body: 413."""

    total_body_limit: int = 512 * MIB
    """Of all bodies that this process holds, arriving or waiting: 503."""

    pipeline_limit: int = 64 * 1024
    """Of what a client sends before its answer; beyond that its socket is not read."""

    max_connections: int = 16384
    """Of clients; those above are answered 503."""

    header_timeout: float = 10.0
    """From a request's first byte to the end of its head: 408."""

    body_timeout: float = 60.0
    """Without one more byte of a request's body: 408."""

    idle_timeout: float = 75.0
    """Between two requests of a connection, and before the first."""

    connect_timeout: float = 3.0
    """To an endpoint."""

    first_byte_timeout: float = 600.0
    """From sending a request to the first byte of its answer, and between two bytes of it."""

    stall_timeout: float = 60.0
    """In which a client takes nothing of what waits for it."""

    upstream_idle_timeout: float = 30.0
    """How long a spare connection to an endpoint is kept."""

    linger_timeout: float = 5.0
    """How long the rest of a refused request is thrown away, so that its answer arrives."""

    sweep_interval: float = 1.0
