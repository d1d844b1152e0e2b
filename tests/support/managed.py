"""The management pages of a stand-alone server in the test's event loop, over a real catalogue.

Engines, registries and a running server are not part of it: what they would say is scripted.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from modelrunner_protocol import dmr
from modelrunner_protocol.configure import Configuration, merge
from modelrunner_protocol.wire import Mode
from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.management.logs import LogTail
from runnerd.standalone.management.pages import Management
from runnerd.standalone.management.recorder import Recorder
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool.told import Configured, Running
from runnerd.weights.oci.package import Ingredients
from tests.support.gguf_files import model as gguf

LAYER = "sha256:" + "ab" * 32


def running(stored: Stored, **more: Any) -> Running:
    """A row of what runs."""
    usual: dict[str, Any] = {
        "identity": stored.identity,
        "name": "ai/smollm2",
        "mode": Mode.COMPLETION,
        "backend": "llama.cpp",
        "last_used": 0.0,
        "in_use": False,
        "loading": False,
        "keep_alive": 300.0,
        "size_bytes": 1,
    }
    return Running(**usual | more)


@dataclass
class ScriptedPool:
    """Notes what it is told. `trouble` is raised to who configures, `broken` to who leases."""

    rows: list[Running] = field(default_factory=list)
    said: dict[tuple[str, Mode], Configuration] = field(default_factory=dict)
    leased: list[tuple[str, Mode, str]] = field(default_factory=list)
    unloaded: list[frozenset[str] | None] = field(default_factory=list)
    trouble: Exception | None = None
    broken: Exception | None = None

    async def preload(self, stored: Stored, mode: Mode, *, name: str) -> None:
        """Note who is loaded."""
        self.leased.append((stored.identity, mode, name))
        if self.broken:
            raise self.broken

    def configure(
        self, identity: str, configuration: Configuration, mode: Mode = Mode.COMPLETION
    ) -> None:
        """Merge."""
        if self.trouble:
            raise self.trouble
        key = (identity, mode)
        self.said[key] = merge(self.said.get(key, Configuration()), configuration)

    def forget(self, identity: str) -> None:
        """Drop it."""
        self.said = {key: said for key, said in self.said.items() if key[0] != identity}

    def configurations(self, identity: str | None = None) -> Sequence[Configured]:
        """What was said."""
        return [
            Configured(identity=one, mode=mode, configuration=said)
            for (one, mode), said in self.said.items()
            if identity in {None, one}
        ]

    def running(self) -> Sequence[Running]:
        """`rows`."""
        return self.rows

    async def unload(self, identities: Collection[str] | None = None) -> int:
        """How many rows there were of these."""
        self.unloaded.append(None if identities is None else frozenset(identities))
        gone = [one for one in self.rows if identities is None or one.identity in identities]
        self.rows = [one for one in self.rows if one not in gone]
        return len(gone)


@dataclass
class ScriptedMoves:
    """Pulls and pushes that say `lines`; `refusal` comes instead of the first one.

    `asked` notes the references and the tokens; `closed` counts the iterators that were closed.
    """

    lines: Iterable[dmr.Line] = ()
    refusal: PullRefusedError | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0

    def pull(self, reference: str, *, token: str = "") -> AsyncGenerator[dmr.Line, None]:
        """Say the lines."""
        return self._say(reference, token)

    def push(self, name: str, *, token: str = "") -> AsyncGenerator[dmr.Line, None]:
        """Say the lines."""
        return self._say(name, token)

    async def _say(self, name: str, token: str) -> AsyncGenerator[dmr.Line, None]:
        self.asked.append((name, token))
        if self.refusal:
            raise self.refusal
        try:
            for line in self.lines:
                yield line
        finally:
            self.closed += 1


PULL = (
    dmr.downloaded(LAYER, size=20 << 20, current=1 << 20, total=20 << 20),
    dmr.downloaded(LAYER, size=20 << 20, current=20 << 20, total=20 << 20),
    dmr.pulled(),
)


@dataclass
class Site:
    """What answers, and a client of it."""

    catalogue: Catalogue
    pool: ScriptedPool
    moves: ScriptedMoves
    recorder: Recorder
    tail: LogTail
    management: Management
    client: ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status, and the body: JSON where it says that it is, else text."""
        async with self.client.request(method, path, **more) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()


def stock(catalogue: Catalogue, folder: Path, *tags: str, seed: int = 1) -> Stored:
    """A small model with these tags; other seeds make other models."""
    weights = folder / f"{seed}.gguf"
    weights.write_bytes(gguf(seed=seed))
    stored = add(catalogue, Ingredients(weights=(weights,)), tags[0])
    for tag in tags[1:]:
        catalogue.tag(tags[0], tag)
    return replace(stored, tags=tags)


@contextlib.asynccontextmanager
async def managed(
    folder: Path, *, moves: ScriptedMoves | None = None, record: bool = True, program: str = ""
) -> AsyncIterator[Site]:
    """The pages over an empty catalogue below `folder`."""
    catalogue = Catalogue(folder / "models")
    pool, moves, recorder = ScriptedPool(), moves or ScriptedMoves(PULL), Recorder(enabled=record)
    tail = LogTail()
    management = Management(
        catalogue=catalogue,
        pulls=moves,
        pushes=moves,
        pool=pool,
        recorder=recorder,
        tail=tail,
        program=program,
    )

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        for page in management.pages:
            if found := page.pattern.fullmatch(request.rel_url.raw_path):
                try:
                    return await page.answer(request, found)
                except RefusedError as refused:
                    return refused.answer(page.dialect)
        return web.Response(status=404, text="no page")

    server = web.Server(answer, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield Site(catalogue, pool, moves, recorder, tail, management, client)
    finally:
        await management.close()
        await runner.cleanup()
