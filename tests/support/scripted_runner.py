"""A whole runner inside the test's event loop, in front of a scripted engine."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.cgroup import Cgroup
from runnerd.engines.child import Child
from runnerd.engines.restarts import Delays
from runnerd.server.listener import open_listener
from runnerd.server.process import Runner

PROGRAM = Path(__file__).with_name("scripted_engine.py")
CONFIG = RunConfig(
    model="smol",
    namespace="ml",
    runner="cpu",
    engine="llama.cpp",
    weights="/models/x.gguf",
    aliases=("gpt-x",),
    drain_timeout=5,
    startup_timeout=20,
    port=0,
)
SETTINGS = Settings(drain_linger=0.0, stop_grace=2.0, retry_wait=10.0)
QUICK = Delays(first=0.02, longest=0.04)


class ScriptedLaunch:
    """Starts the scripted engine with `arguments`; its notes are files in `folder`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        cgroup: Cgroup | None = None,
        failure: OSError | None = None,
        late: bool = False,
    ) -> None:
        """It starts at once, unless it is `late`: then whoever supervises it starts it."""
        self.folder = folder
        self.socket = str(folder / "e.sock")
        # -I -S: no site, no user's environment; it starts twice as fast.
        self.command = [sys.executable, "-I", "-S", str(PROGRAM), "--host", self.socket]
        self.command += arguments
        self.cgroup = cgroup or Cgroup(str(folder / "no-cgroup"), "/dev/null")
        self.children: list[Child] = []
        self.first: Child | OSError | None = None if late else failure or self.start()

    def start(self) -> Child:
        """Start one more."""
        self.remove_socket()
        self.children.append(Child(self.command, {}))
        return self.children[-1]

    def remove_socket(self) -> None:
        """The engine leaves it behind."""
        Path(self.socket).unlink(missing_ok=True)

    def noted(self, name: str) -> bool:
        """Whether the engine made this note."""
        return (self.folder / name).exists()


class Served:
    """A runner that listens; `client` talks to it, `stop` is what a SIGTERM would set."""

    def __init__(self, launch: ScriptedLaunch, port: int, client: ClientSession) -> None:
        self.launch = launch
        self.port = port
        self.client = client
        self.stop = asyncio.Event()
        self.ended: asyncio.Task[bool] | None = None

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        async with self.client.get(path) as answer:
            return answer.status, await answer.json()

    async def chat(self, script: str = "echo", **more: Any) -> tuple[int, Any]:
        """Status and JSON of a chat whose engine follows `script`."""
        body = {"messages": [], "script": script, **more}
        async with self.client.post("/v1/chat/completions", json=body) as answer:
            return answer.status, await answer.json()

    async def status(self) -> Any:
        """What it says at /status."""
        return (await self.get("/status"))[1]

    async def until(self, state: str) -> Any:
        """Its status once it is in `state`."""
        found: Any = None

        async def reached() -> bool:
            nonlocal found
            found = await self.status()
            return bool(found["state"] == state)

        await eventually(reached)
        return found


async def eventually(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until `condition`, a function or a coroutine function, holds."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *arguments: str,
    config: RunConfig = CONFIG,
    settings: Settings = SETTINGS,
    delays: Delays = QUICK,
    cgroup: Cgroup | None = None,
    failure: OSError | None = None,
    until: str = "ready",
) -> AsyncIterator[Served]:
    """A runner in front of the scripted engine with `arguments`, in the state `until`."""
    launch = ScriptedLaunch(folder, *arguments, cgroup=cgroup, failure=failure)
    port = asyncio.get_running_loop().create_future()
    runner = Runner(
        config,
        replace(settings, socket_folder=str(folder)),
        launch,
        open_listener(config.port, settings.stall_timeout),
        started_at=time.time(),
        delays=delays,
        on_listening=port.set_result,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(runner.serve(stop))
    async with ClientSession(f"http://127.0.0.1:{await port}") as client:
        served = Served(launch, port.result(), client)
        served.stop, served.ended = stop, task
        try:
            if until:
                await served.until(until)
            yield served
        finally:
            stop.set()
            await asyncio.sleep(0)
            stop.set()
            assert await task
            assert all(child.poll() is not None for child in launch.children)
