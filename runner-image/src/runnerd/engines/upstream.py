"""HTTP over the engine's UNIX socket: the connection pool, its health and the warm-up."""

import asyncio
import json
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from aiohttp import (
    ClientError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    UnixConnector,
)
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.engines.properties import UNKNOWN, Properties, properties_of

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

BASE: Final = "http://engine"
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25
_QUICK: Final = ClientTimeout(total=5)
# llama-server closes an idle connection after 5 s; ours must be the one that gives up first.
_KEEP_ALIVE: Final = 3.0


class WarmUpRefusedError(Exception):
    """The engine answered the warm-up with an error; the message holds its words."""


_reused: Final = ContextVar[float | None]("reused", default=None)


class _Kept(UnixConnector):
    """Keeps connections, and knows of each request whether its own was new."""

    def __init__(self, socket: str, connections: int) -> None:
        super().__init__(path=socket, limit=connections, keepalive_timeout=_KEEP_ALIVE)
        self._known: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Part of aiohttp.BaseConnector; runs in the task that makes the request."""
        _reused.set(None)
        found = await super().connect(req, traces, timeout)
        protocol = found.protocol
        if protocol is not None:
            _reused.set(time.monotonic() if protocol in self._known else None)
            self._known.add(protocol)
        return found


def reused_for() -> float | None:
    """Seconds since the last request of this task to `connect`'s client got its connection.

    None where that was new. One of earlier requests may have been closed by the engine in the very
    moment in which it was used.
    """
    since = _reused.get()
    return None if since is None else time.monotonic() - since


def connect(socket: str, connections: int) -> ClientSession:
    """A client whose every request goes to the engine behind `socket`."""
    return _client(_Kept(socket, connections))


def connect_anew(socket: str, connections: int) -> ClientSession:
    """The same with a new connection for each request."""
    return _client(UnixConnector(path=socket, limit=connections, force_close=True))


def _client(connector: UnixConnector) -> ClientSession:
    return ClientSession(
        connector=connector,
        timeout=ClientTimeout(total=None, sock_connect=5),
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        read_bufsize=1 << 16,
    )


async def until_healthy(session: ClientSession) -> None:
    """Return once the engine says that its model is loaded."""
    pause = _FIRST_PAUSE
    while await health(session) != 200:
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE)


async def health(session: ClientSession, timeout: float = 5.0) -> int | None:
    """The status with which the engine answers /health: 200 once its model is loaded.

    None when it does not answer within `timeout` seconds.
    """
    limit = ClientTimeout(total=timeout)
    try:
        async with session.get(f"{BASE}/health", timeout=limit) as answer:
            return answer.status
    except (ClientError, OSError, TimeoutError):
        return None


async def properties(session: ClientSession) -> Properties:
    """What the engine says of itself; nothing when it does not answer."""
    try:
        async with session.get(f"{BASE}/props", timeout=_QUICK) as answer:
            return properties_of(await answer.read())
    except (ClientError, OSError, TimeoutError):
        return UNKNOWN


async def warm_up(session: ClientSession, config: RunConfig) -> None:
    """Let the engine answer once, so that no client pays for first-time work.

    Raises:
        WarmUpRefusedError: it cannot do what it was started for.
        aiohttp.ClientError: it died.
    """
    if not config.warmup.enabled:
        return
    prompt = config.warmup.prompt
    if config.mode is Mode.EMBEDDING:
        status, text = await _ask(session, "/v1/embeddings", {"input": prompt})
        hint = '; try the runtimeFlags ["--pooling", "mean"]' if "pooling" in text.lower() else ""
    elif config.mode is Mode.RERANKING:
        ranked = {"query": prompt, "documents": [prompt]}
        status, text = await _ask(session, "/v1/rerank", ranked)
        hint = ""
    else:
        chat = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 1}
        status, text = await _ask(session, "/v1/chat/completions", chat)
        hint = ""
        if status != 200:
            # A base model whose template cannot render a chat still completes text.
            completion = {"prompt": prompt, "max_tokens": 1}
            status, text = await _ask(session, "/v1/completions", completion)
    if status != 200:
        raise WarmUpRefusedError(f"{_message(text)} (status {status}){hint}")


async def metrics(session: ClientSession, limit: int) -> str | None:
    """The engine's own metrics, None when it does not give them or gives over `limit` bytes."""
    try:
        async with session.get(f"{BASE}/metrics", timeout=_QUICK) as answer:
            text = await answer.content.read(limit + 1)
            while len(text) <= limit and (more := await answer.content.read(limit)):
                text += more
    except (ClientError, OSError, TimeoutError):
        return None
    return text.decode("utf-8", "replace") if answer.status == 200 and len(text) <= limit else None


async def _ask(session: ClientSession, path: str, body: dict[str, Any]) -> tuple[int, str]:
    async with session.post(BASE + path, json=body) as answer:
        return answer.status, (await answer.read()).decode("utf-8", "replace")


def _message(text: str) -> str:
    try:
        found = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        found = text
    return str(found)[:300]
