"""The port of a runner, opened before anybody can answer on it. Light to import.

The kubelet probes a container in the moment that it runs, and then once a second. A connection
that finds the port open waits the fraction of a second until the imports are done; one that is
refused costs a second of every cold start.
"""

import socket

from runnerd.config import ConfigError


def open_listener(port: int, stall_timeout: float) -> socket.socket:
    """A listening socket on `port` (0: any) of all addresses.

    Every connection inherits that one whose reader takes nothing for `stall_timeout` seconds,
    or is gone, ends.

    Raises:
        ConfigError: the port cannot be opened.
    """
    try:
        if socket.has_dualstack_ipv6():
            listener = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
            )
        else:
            listener = socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise ConfigError(f"port {port} cannot be opened: {error.strerror}") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stall_timeout * 1000))
    return listener
