"""The port of a runner."""

import socket

import pytest

from runnerd.config import ConfigError
from runnerd.server.listener import open_listener, take_no_more


def test_port_in_use() -> None:
    """Who cannot have the port learns which one it is."""
    with open_listener(0, 10) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be opened"):
            open_listener(port, 10)


def test_no_more_connections() -> None:
    """Those that wait are taken in and heard; a new one does not begin, and is then refused."""
    with open_listener(0, 10) as listener:
        address = ("127.0.0.1", listener.getsockname()[1])
        before = socket.create_connection(address, timeout=60)
        take_no_more(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.1)
        before.sendall(b"hello")
        listener.settimeout(60)
        accepted, _ = listener.accept()
        with before, accepted:
            assert accepted.recv(5) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=60)


def test_kernel_without_filters() -> None:
    """It is no error where the kernel cannot do it."""
    with socket.socket() as listener:
        listener.close()
        take_no_more(listener)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_address(host: str) -> None:
    """Only who asks there gets in."""
    with open_listener(0, 10, host) as listener:
        address = listener.getsockname()
        assert address[0] in {"127.0.0.1", "::1"}
        socket.create_connection(address[:2], timeout=60).close()


def test_address_of_somebody_else() -> None:
    """It is named in the error."""
    with pytest.raises(ConfigError, match=r"port 1234 of 192\.0\.2\.1 cannot be opened"):
        open_listener(1234, 10, "192.0.2.1")
