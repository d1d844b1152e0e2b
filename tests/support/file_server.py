"""A small HTTP/1.1 file server that also knows how to go wrong.

As a program it serves a folder, with ranges and entity tags:

    python -m tests.support.file_server FOLDER --port 8000

In tests each `Fault` spoils one request. Every request is kept, with the bytes it was sent.
"""

import argparse
import asyncio
import hashlib
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

_BLOCK: Final = 256 * 1024
_LOOK: Final = 0.02
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
_PHRASES: Final = {
    200: "OK",
    206: "Partial Content",
    404: "Not Found",
    416: "Range Not Satisfiable",
}


@dataclass(kw_only=True)
class Fault:
    """What is wrong with the answer to one request.

    Attributes:
        status: Answer this instead, without the file.
        text: The body of that answer.
        headers: Add these; None removes one.
        cut_after: Close the connection after so many bytes of the body.
        hang_after: Fall silent after so many bytes, until `FileServer.release` is set.
        extra: Send so many bytes behind the file's end.
        announce: The Content-Length that is told.
        ignore_range: Answer 200 with the whole file.
        shift: Serve a range that starts so much later than asked for.
        pace: Bytes per second.
        most: Bytes of bodies, of all requests it spoils together, after which they wait until
            this is more, or None.
        before: Called before the file is looked at, to change it.
    """

    status: int = 0
    text: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut_after: int | None = None
    hang_after: int | None = None
    extra: int = 0
    announce: int | None = None
    ignore_range: bool = False
    shift: int = 0
    pace: float = 0
    most: int | None = None
    given: int = field(default=0, init=False)
    before: Callable[[], None] = lambda: None

    @property
    def block(self) -> int:
        """How many bytes may be sent at once now: a test may change the fault meanwhile."""
        usual = max(1, min(_BLOCK, int(self.pace / 20))) if self.pace else _BLOCK
        return usual if self.most is None else min(usual, self.most - self.given)


@dataclass
class Request:
    """One request, its body, how much of a body it got, and whether its client has left."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0
    sent: int = 0
    left: Callable[[], bool] = lambda: False


class FileServer:
    """Serves files from memory or a folder on a port of the loopback.

    Attributes:
        files: Path ("/model.gguf") → content.
        faults: One is used up by each request; then all is as `by_path` or `always` says.
        by_path: What is wrong with every request for a path.
        ranges: Whether ranges are served.
        tags: Whether an ETag (a digest of the content) is sent.
        dates: Whether a Last-Modified is sent.
        most: Bytes of bodies after which it falls silent, of all requests together; None: never.
    """

    def __init__(self, files: dict[str, bytes] | None = None, folder: Path | None = None) -> None:
        self.files = files or {}
        self.folder = folder
        self.faults: deque[Fault] = deque()
        self.by_path: dict[str, Fault] = {}
        self.always = Fault()
        self.ranges = True
        self.tags = True
        self.dates = True
        self.requests: list[Request] = []
        self.most: int | None = None
        self.given = 0
        self.release = asyncio.Event()
        self.host = "127.0.0.1"
        self.port = 0
        self.scheme = "http"

    def url(self, path: str = "/model.gguf") -> str:
        """The URL of a file."""
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    @property
    def sent(self) -> int:
        """Bytes of bodies, of all requests together."""
        return sum(request.sent for request in self.requests)

    @asynccontextmanager
    async def running(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator["FileServer"]:
        """Serve while the block runs."""
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    while await self._answer(reader, writer):
                        pass
                    # What is written arrives before the connection's end does.
                    writer.close()
                    return
                writer.transport.abort()
            finally:
                connections.discard(task)

        server = await asyncio.start_server(connected, host, port, ssl=tls)
        self.host, self.port = host, server.sockets[0].getsockname()[1]
        self.scheme = "https" if tls else "http"
        try:
            yield self
        finally:
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can carry another."""
        request = await _read_request(reader)
        request.left = reader.at_eof
        self.requests.append(request)
        usual = self.by_path.get(request.path, self.always)
        fault = self.faults.popleft() if self.faults else usual
        fault.before()
        source = None if fault.status else self._open(request.path)
        if source is None:
            request.status = fault.status or 404
            text = (fault.text or f"{request.status}\n").encode()
            headers = {"Content-Length": str(len(text)), **fault.headers}
            writer.write(_head(request.status, headers) + text)
            await writer.drain()
            return True
        with source:
            return await self._send(request, fault, source, writer)

    async def _send(
        self, request: Request, fault: Fault, source: BinaryIO, writer: asyncio.StreamWriter
    ) -> bool:
        size = source.seek(0, 2)
        tag = self._tag(source) if self.tags else ""
        start, stop = self._range(request, fault, size, tag)
        headers: dict[str, str | None] = {"Content-Type": "application/octet-stream"}
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        if tag:
            headers["ETag"] = tag
        if self.dates:
            headers["Last-Modified"] = "Tue, 06 May 2025 07:08:09 GMT"
        if request.status == 416:
            headers |= {"Content-Range": f"bytes */{size}"}
            start = stop = 0
        elif request.status == 206:
            headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        announced = stop - start if fault.announce is None else fault.announce
        headers |= {"Content-Length": str(announced), **fault.headers}
        writer.write(_head(request.status, headers))
        await writer.drain()
        if request.method == "HEAD":
            return True
        await self._send_body(request, fault, source, start, stop, writer)
        spoiled = fault.cut_after is not None or fault.extra or fault.announce is not None
        return not spoiled and headers.get("Content-Length") is not None

    async def _send_body(
        self,
        request: Request,
        fault: Fault,
        source: BinaryIO,
        start: int,
        stop: int,
        writer: asyncio.StreamWriter,
    ) -> None:
        end = stop + fault.extra
        for limit in (fault.cut_after, fault.hang_after):
            end = end if limit is None else min(end, start + limit)
        position = start
        while position < end:
            source.seek(position)
            size = min(fault.block, end - position)
            if size <= 0:
                if request.left():
                    # Nobody would say that what is written then goes nowhere.
                    raise ConnectionError
                await asyncio.sleep(_LOOK)
                continue
            if self.most is not None:
                size = min(size, self.most - self.given)
            if size <= 0:
                await self.release.wait()
                raise ConnectionError
            self.given += size
            fault.given += size
            block = source.read(size) or bytes(size)
            writer.write(block)
            await writer.drain()
            request.sent += len(block)
            position += len(block)
            if fault.pace:
                await asyncio.sleep(len(block) / fault.pace)
        if fault.hang_after is not None and position < stop:
            await self.release.wait()
            raise ConnectionError

    def _range(self, request: Request, fault: Fault, size: int, tag: str) -> tuple[int, int]:
        """The bytes to send; sets the request's status."""
        match = _RANGE.fullmatch(request.headers.get("range", ""))
        same = request.headers.get("if-range", tag) in {tag, "Tue, 06 May 2025 07:08:09 GMT"}
        request.status = 200
        if match is None or not same or not self.ranges or fault.ignore_range:
            return 0, size
        start = int(match[1]) + fault.shift
        stop = min(int(match[2]) + 1, size) if match[2] else size
        request.status = 206 if start < size else 416
        return start, stop

    def _tag(self, source: BinaryIO) -> str:
        if self.folder is not None:
            # A digest of a large file at every request would be all that the server does.
            return f'"{source.seek(0, 2):x}-{int(Path(source.name).stat().st_mtime_ns):x}"'
        source.seek(0)
        return f'"{hashlib.sha256(source.read()).hexdigest()[:16]}"'

    def _open(self, path: str) -> BinaryIO | None:
        name = unquote(urlsplit(path).path)
        if self.folder is None:
            return BytesIO(self.files[name]) if name in self.files else None
        file = (self.folder / name.lstrip("/")).resolve()
        inside = file.is_relative_to(self.folder.resolve()) and file.is_file()
        return file.open("rb") if inside else None


async def _read_request(reader: asyncio.StreamReader) -> Request:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body)


def _head(status: int, headers: dict[str, str | None]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'As Told')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    if headers.get("Content-Length") is None and "Transfer-Encoding" not in headers:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _serve(folder: Path, host: str, port: int) -> None:
    async with FileServer(folder=folder).running(host, port) as server:
        print(f"serving {folder} at {server.url('/')}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve a folder until interrupted."""
    parser = argparse.ArgumentParser(description="Serve a folder over HTTP, with ranges.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.folder, arguments.host, arguments.port))


if __name__ == "__main__":
    main()
