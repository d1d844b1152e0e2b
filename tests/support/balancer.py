"""What kube-proxy does for a Service: each new connection goes to one of the ready endpoints."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence

_CHUNK = 64 * 1024
_FRESH = 3.0
"""Seconds: on a machine that stood still, what was known before is not what is so now. Backends
that go announce it twice as long."""


@contextlib.contextmanager
def balanced(targets: Callable[[], Sequence[int]], interval: float = 0.05) -> Iterator[str]:
    """The URL of a TCP balancer over ports of loopback; `targets` is asked every `interval` s.

    It knows nothing of HTTP and tries nothing twice, so what a backend does to a connection is
    what its client sees.
    """
    balancer = _Balancer(targets, interval)
    thread = threading.Thread(target=lambda: asyncio.run(balancer.run()))
    thread.start()
    try:
        assert balancer.started.wait(120)
        yield f"http://127.0.0.1:{balancer.port}"
    finally:
        balancer.stop.set()
        thread.join()


class _Balancer:
    def __init__(self, targets: Callable[[], Sequence[int]], interval: float) -> None:
        self.port = 0
        self.started = threading.Event()
        self.stop = threading.Event()
        self._targets = targets
        self._interval = interval
        self._ready: Sequence[int] = ()
        self._asked_at = 0.0
        self._turns = itertools.count()
        self._relays: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._ask()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            self.started.set()
            while not self.stop.is_set():
                await self._ask()
                await asyncio.sleep(self._interval)
        for task in self._relays:
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _ask(self) -> None:
        began = asyncio.get_running_loop().time()
        self._ready = await asyncio.to_thread(self._targets)
        self._asked_at = began

    async def _backend(self) -> int:
        while asyncio.get_running_loop().time() - self._asked_at > _FRESH:
            await self._ask()
        return self._ready[next(self._turns) % len(self._ready)]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer: asyncio.StreamWriter | None = None
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", await self._backend())
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, outer))
                group.create_task(_pump(inner, writer))
        except* (OSError, ZeroDivisionError):
            # A refused or a reset connection goes on as a reset one.
            pass
        finally:
            for one in (writer, outer):
                if one is not None:
                    one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
