"""A client that speaks HTTP/1.1 byte by byte, and the requests that it sends."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

PATIENCE: Final = 120.0
"""Seconds after which a test that waits has failed; nothing is expected to take that long."""


def end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Close a connection, with RST where asked for."""
    if reset:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@dataclass
class Reply:
    """An answer as a client got it. `cut`: it ended before its framing said so."""

    status: int
    head: bytes
    body: bytes
    cut: bool = False

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        fields = [field_of(line) for line in self.head.split(b"\r\n")[1:]]
        return [value.decode() for key, value in fields if key == name.encode()]

    def value(self, name: str) -> str | None:
        """The only value of a header."""
        found = self.values(name)
        assert len(found) < 2, f"{name} is there {len(found)} times"
        return found[0] if found else None


class Wire:
    """A client that says what it is told, byte by byte, and reads strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Wire":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def ask(self, data: bytes, *, bodiless: bool = False) -> Reply:
        """Send and read one answer."""
        self.send(data)
        return await self.reply(bodiless=bodiless)

    async def head(self) -> tuple[int, bytes]:
        """The head of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4]
        version, status, *_ = head.split(b" ", 2)
        assert version == b"HTTP/1.1"
        return int(status), head

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """The next answer, 1xx left out."""
        status, head = await self.head()
        while status < 200:
            status, head = await self.head()
        reply = Reply(status, head, b"")
        length, coding = reply.value("content-length"), reply.value("transfer-encoding")
        assert length is None or coding is None
        async with asyncio.timeout(PATIENCE):
            if bodiless or status in {204, 304}:
                return reply
            if coding is not None:
                assert coding == "chunked"
                await self._chunks(reply)
            elif length is not None:
                await self._exactly(reply, int(length))
            else:
                reply.body = await self.reader.read()
        return reply

    async def _exactly(self, reply: Reply, length: int) -> None:
        try:
            reply.body += await self.reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            reply.body += error.partial
            reply.cut = True

    async def chunk(self) -> bytes:
        """One chunk of a body; b"" is the last."""
        async with asyncio.timeout(PATIENCE):
            size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
            payload = await self.reader.readexactly(size + 2)
        assert payload.endswith(b"\r\n")
        return payload[:-2]

    async def _chunks(self, reply: Reply) -> None:
        try:
            while payload := await self.chunk():
                reply.body += payload
        except (asyncio.IncompleteReadError, ConnectionResetError):
            reply.cut = True

    def stop_reading(self) -> None:
        """Take nothing more from the network."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def read_on(self) -> None:
        """Take it again."""
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    async def at_end(self) -> bool:
        """Wait until the other side closes; whether it did so without another byte."""
        async with asyncio.timeout(PATIENCE):
            try:
                return not await self.reader.read(1)
            except ConnectionResetError:
                return True

    def close(self, *, reset: bool = False) -> None:
        """Leave."""
        end(self.writer, reset=reset)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is asked for has no event
            await asyncio.sleep(0.002)


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: bytes, path: str = "/v1/chat/completions", *headers: str) -> bytes:
    """A request with a body."""
    return get(path, *headers, f"Content-Length: {len(body)}", method="POST") + body


def chunked(*chunks: bytes) -> bytes:
    """A body in the chunked coding, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"


def field_of(line: bytes) -> tuple[bytes, bytes]:
    """Name, in lower case, and value of a header's line."""
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()
