"""Files that pods download in e2e tests: the faulty file server in a thread of its own."""

import asyncio
import os
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.file_server import Fault, FileServer

_START_SECONDS: Final = 120


class ServedFiles:
    """Serves one model file under as many names as tests ask for, each with its own faults.

    Attributes:
        port: where it listens, on the address that pods reach.
    """

    def __init__(self, model: Path, *, host: str) -> None:
        self._model = model
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._cleanup = ExitStack()
        self._server = FileServer()
        self.port = 0

    def __enter__(self) -> Self:
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(dir=self._model.parent))
        self._server.folder = Path(folder)
        self.copy(self._model.name)
        thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        thread.start()
        self._cleanup.callback(thread.join)
        self._cleanup.callback(self._loop.call_soon_threadsafe, self._stop.set)
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError(f"the file server did not start on {self._host}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        self._loop.close()

    async def _run(self) -> None:
        async with self._server.running(self._host) as server:
            self.port = server.port
            self._ready.set()
            await self._stop.wait()

    def copy(self, name: str) -> str:
        """Serve the model under another name too, and return that name."""
        if self._server.folder is None:
            raise RuntimeError("the file server is not running")
        target = self._server.folder / name
        if not target.exists():
            os.link(self._model, target)
        return name

    def limit(self, name: str, *, bytes_per_second: float) -> None:
        """Send this file no faster than that, on each connection; what is under way, too."""
        self._fault(name).pace = bytes_per_second

    def hold(self, name: str, *, after: int) -> None:
        """Send no more than so many bytes of this file, until `go_on`: the rest is waited for."""
        self._fault(name).most = after

    def go_on(self, name: str) -> None:
        """Send this file, and what is under way of it, as fast as can be."""
        fault = self._fault(name)
        fault.pace, fault.most = 0, None

    def _fault(self, name: str) -> Fault:
        return self._server.by_path.setdefault(f"/{name}", Fault())

    def spoil(self, name: str, fault: Fault) -> None:
        """Answer every request for a name like this."""
        self.copy(name)
        self._server.by_path[f"/{name}"] = fault

    def write(self, name: str, content: bytes) -> None:
        """Serve other content under a name."""
        if self._server.folder is not None:
            (self._server.folder / name).write_bytes(content)

    def requests(self, name: str) -> int:
        """How often this file was asked for so far."""
        return sum(one.path == f"/{name}" for one in list(self._server.requests))

    def bytes_sent(self, name: str) -> int:
        """Bytes of this file's content that were sent so far."""
        return sum(one.sent for one in list(self._server.requests) if one.path == f"/{name}")
