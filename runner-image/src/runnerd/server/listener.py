"""The port of a runner: opened before anybody can answer on it, closed without a reset. Light.

The kubelet probes a container in the moment that it runs, and then once a second. A connection
that finds the port open waits the fraction of a second until the imports are done; one that is
refused costs a second of every cold start.
"""

import contextlib
import socket
import struct
from typing import Final

from runnerd.config import ConfigError

_ATTACH_FILTER: Final = 26
"""SO_ATTACH_FILTER of Linux, which Python does not name."""

# Classic BPF: (operation, jump if true, jump if false, value) of each instruction.
_WITHOUT_SYN: Final = (
    (0x30, 0, 0, 13),  # load the byte of TCP's flags
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)


def open_listener(port: int, stall_timeout: float, host: str = "") -> socket.socket:
    """A listening socket on `port` (0: any) of `host`, an address or a name; "": all addresses.

    Every connection inherits that one whose reader takes nothing for `stall_timeout` seconds,
    or is gone, ends.

    Raises:
        ConfigError: the port cannot be opened.
    """
    try:
        if host:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((host, port), family=family, backlog=1024)
        elif socket.has_dualstack_ipv6():
            listener = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
            )
        else:
            listener = socket.create_server(("", port), backlog=1024)
    except OSError as error:
        where = f"port {port} of {host}" if host else f"port {port}"
        raise ConfigError(f"{where} cannot be opened: {error.strerror}") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stall_timeout * 1000))
    return listener


def take_no_more(listener: socket.socket) -> None:
    """From now on no connection begins; those that have begun can still be accepted.

    The kernel resets what it has accepted and we have not when a port is closed, with the
    requests in it. A connection that is not begun is tried again, and then refused: nothing of
    it was sent.
    """
    import ctypes  # noqa: PLC0415  # at the end only

    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _WITHOUT_SYN)
    program = ctypes.create_string_buffer(code)
    head = struct.pack("HP", len(_WITHOUT_SYN), ctypes.addressof(program))
    # A sandbox without filters: what is lost there is what every other server loses.
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, head)
