"""Who else reads HTTP: h11, and nginx as a proxy before a backend of ours."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h11

from tests.cluster.progress import Progress
from tests.support.distribution import unpacked
from tests.support.http_backend import Backend
from tests.support.http_wire import PATIENCE, until

_ABSOLUTE: Final = re.compile(r"(?i)^https?://[^/?]*")
_CONFIGURATION: Final = """\
daemon off;
master_process off;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_ignore_client_abort on;
  client_header_buffer_size 8k;
  large_client_header_buffers 8 8k;
  client_max_body_size 64m;
  server {{
    listen unix:{folder}/nginx.sock;
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Reading:
    """What became of some bytes: the requests that were taken, and the status of a refusal.

    A request is its method, its path and its body. `refused` is None where all was taken.
    """

    taken: tuple[tuple[str, str, bytes], ...]
    refused: int | None


def read_as_h11(data: bytes) -> Reading:
    """What h11 takes these bytes for."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    connection.receive_data(data)
    taken: list[tuple[str, str, bytes]] = []
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                path = _ABSOLUTE.sub("", request.target.decode("latin-1")).partition("?")[0] or "/"
                taken.append((request.method.decode(), path, body))
                # With 200, CONNECT would be the end of HTTP.
                connection.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return Reading(tuple(taken), None)
                connection.start_next_cycle()
            else:
                return Reading(tuple(taken), None)
    except h11.RemoteProtocolError as error:
        return Reading(tuple(taken), error.error_status_hint)


@contextlib.asynccontextmanager
async def nginx_before(backend: Backend, folder: Path) -> AsyncIterator[Path]:
    """The distribution's nginx, unprivileged; yields the socket that it listens on.

    Raises:
        ClusterError: its package cannot be had.
    """
    program = unpacked("nginx", "nginx", Progress())
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=backend.port), "utf-8")
    process = await asyncio.create_subprocess_exec(
        program.program,
        "-p",
        folder,
        "-c",
        configuration,
        env=dict(program.environment),
        stderr=asyncio.subprocess.PIPE,
    )
    path = folder / "nginx.sock"
    try:
        await until(lambda: _listens(path) or process.returncode is not None)
        if process.returncode is not None and process.stderr is not None:
            raise AssertionError((await process.stderr.read()).decode())
        yield path
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _listens(path: Path) -> bool:
    """Whether a connection would be accepted; the file is there a little earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


async def statuses(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, *, last: bool
) -> list[int]:
    """Send bytes and read answers with a length until the connection ends.

    `last`: the other side is told that no more comes, so that it need not wait for it.
    """
    writer.write(data)
    if last:
        writer.write_eof()
    found: list[int] = []
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ")[1])
                if status >= 200:
                    found.append(status)
                    await _skip(reader, head.lower())
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return found


async def _skip(reader: asyncio.StreamReader, head: bytes) -> None:
    _, told, rest = head.partition(b"\r\ncontent-length: ")
    if told:
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
