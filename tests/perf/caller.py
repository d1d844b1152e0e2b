"""A client that asks an engine, directly or through something, and takes the time."""

import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def unix(path: Path) -> socket.socket:
    """A connection to a UNIX socket."""
    link = socket.socket(socket.AF_UNIX)
    link.connect(str(path))
    return link


def tcp(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A connection that waits with no byte."""
    link = socket.create_connection((host, port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


@dataclass
class Caller:
    """One way to an engine over one kept connection, and what was measured on it (seconds)."""

    connect: Callable[[], socket.socket]
    unary: list[float]
    first: list[float]
    chunks: list[float]
    link: socket.socket | None = None

    @classmethod
    def of(cls, connect: Callable[[], socket.socket]) -> "Caller":
        """Nothing measured yet."""
        return cls(connect, [], [], [])

    def send(self, path: str, body: dict[str, object]) -> socket.socket:
        """Send one request over the kept connection."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        if self.link and select.select([self.link], [], [], 0)[0]:
            # llama-server ends a connection that was idle for five seconds.
            self.link.close()
            self.link = None
        self.link = self.link or self.connect()
        self.link.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return self.link

    def ask(self, body: dict[str, object]) -> None:
        """One request and its whole answer."""
        begin = time.monotonic()
        link, seen = self.send("/v1/chat/completions", body), b""
        while not _whole(seen):
            seen += _receive(link)
        self.unary.append(time.monotonic() - begin)
        self._close_if_asked(seen)

    def stream(self, body: dict[str, object], *, stamped: bool) -> int:
        """One stream; returns its events. `stamped` events tell when they were sent."""
        begin = time.monotonic()
        link, seen = self.send("/v1/chat/completions", {**body, "stream": True}), b""
        while not seen.endswith(b"\r\n0\r\n\r\n"):
            data = _receive(link)
            if b"data: " in data:
                if b"data: " not in seen:
                    self.first.append(time.monotonic() - begin)
                if stamped:
                    sent = float(data.rpartition(b"data: ")[2].split(b" ")[0])
                    self.chunks.append(time.monotonic() - sent)
            seen += data
        self._close_if_asked(seen)
        return seen.count(b"data: ")

    def _close_if_asked(self, seen: bytes) -> None:
        """llama-server ends a connection after its hundredth answer."""
        if self.link and b"\r\nconnection: close" in seen.partition(b"\r\n\r\n")[0].lower():
            self.link.close()
            self.link = None


def _receive(link: socket.socket) -> bytes:
    data = link.recv(1 << 16)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def _whole(seen: bytes) -> bool:
    head, found, body = seen.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
    return bool(found) and len(body) >= int(length)
