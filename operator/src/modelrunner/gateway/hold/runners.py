"""What the gateway asks a runner itself: is it ready, and how many wait for it."""

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
from yarl import URL

from modelrunner.gateway.messages import Endpoint
from modelrunner_protocol.codec import to_dict
from modelrunner_protocol.runner import HELD_PATH, HeldReport

_PATIENCE: Final = 2
"""Seconds that a runner may keep the question, so that it is answered when it becomes ready."""

_CONNECT: Final = 1.0
_TOTAL: Final = _PATIENCE + 3.0
_QUICK: Final = aiohttp.ClientTimeout(total=1.0)
"""Somebody waits for the rest of the answer, of which this is the least."""

_LIMIT: Final = 64 * 1024
_UNLOADING: Final = {"completion": "/api/generate", "embedding": "/api/embed"}
_SHOWING: Final = "/api/show"
_SHOWN: Final = 256 * 1024
_OF_ANY_MODE: Final = "/tokenize"
"""An empty text is taken apart by engines of all modes."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """A runner's answer. `slots` is None where it does not tell; `words` say why it is not ready."""

    ready: bool
    slots: int | None = None
    words: str = ""


class Runners(Protocol):
    """The two questions; neither raises."""

    async def readiness(self, endpoint: Endpoint) -> Readiness:
        """Whether it takes requests now, or becomes ready within two seconds."""
        ...

    async def report(self, endpoint: Endpoint, held: int) -> None:
        """Tell it how many requests for its model wait here."""
        ...


class HttpRunners:
    """Asks over HTTP. `gateway` is this replica's name. An async context manager."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=_TOTAL, sock_connect=_CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def readiness(self, endpoint: Endpoint) -> Readiness:
        """GET /readyz?wait=2."""
        url = _url(endpoint, "/readyz").with_query(wait=str(_PATIENCE))
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                raw = await _read(answer)
                return _readiness(answer.status, raw)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Readiness(ready=False)

    async def unload(self, endpoint: Endpoint, name: str, mode: str) -> bool:
        """Ask a runner to go as soon as it is idle; whether it will.

        Such a request has no prompt, and so asks the engine nothing.
        """
        path = _UNLOADING.get(mode, _OF_ANY_MODE)
        body = {"model": name, "keep_alive": 0, "content": ""}
        try:
            async with self._session.post(
                _url(endpoint, path), json=body, allow_redirects=False
            ) as answer:
                await _read(answer)
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def template(self, endpoint: Endpoint, name: str) -> str | None:
        """POST /api/show: the chat template that the runner's engine uses.

        "" where it has none, or one that is too large to be told; None when it does not answer
        with 200 within a second.
        """
        url = _url(endpoint, _SHOWING)
        try:
            async with self._session.post(
                url, json={"model": name}, allow_redirects=False, timeout=_QUICK
            ) as answer:
                raw = await _read(answer, _SHOWN)
                return _template(raw) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def report(self, endpoint: Endpoint, held: int) -> None:
        """POST a HeldReport."""
        body = to_dict(HeldReport(gateway=self._gateway, held=held))
        try:
            async with self._session.post(
                _url(endpoint, HELD_PATH), json=body, allow_redirects=False
            ) as answer:
                await _read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError):
            # The next second brings another one.
            return


def _url(endpoint: Endpoint, path: str) -> URL:
    address = endpoint.address
    if isinstance(address, str):
        raise TypeError(f"{endpoint.name} is no runner: it listens on the socket {address}")
    return URL.build(scheme="http", host=address[0], port=address[1], path=path)


async def _read(answer: aiohttp.ClientResponse, limit: int = _LIMIT) -> bytes:
    raw = b""
    async for part in answer.content.iter_any():
        raw += part
        if len(raw) > limit:
            answer.close()
            break
    return raw


def _template(raw: bytes) -> str:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    template = found.get("template") if isinstance(found, dict) else None
    return template if isinstance(template, str) else ""


def _readiness(status: int, raw: bytes) -> Readiness:
    try:
        told = json.loads(raw)
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    slots = told.get("slots")
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        slots = None
    words = next((str(told[key]) for key in ("message", "reason", "state") if told.get(key)), "")
    return Readiness(status == 200, slots, words)
