"""Asking runner and pull pods how they are, and runners to close their doors."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp

from modelrunner.domain.objects import Object, uid_of
from modelrunner.domain.pods import address
from modelrunner_protocol.codec import WireError, decode, encode
from modelrunner_protocol.runner import CLOSE_PATH, OPEN_PATH, STATUS_PATH, Closing, RunnerStatus
from modelrunner_protocol.wire import PORT, PROGRESS_PATH, Progress

TIMEOUT: Final = 1.0
LARGEST_ANSWER: Final = 64 * 1024
_CONNECTIONS: Final = 64
_IDLE_SECONDS: Final = 15.0
_log = logging.getLogger(__name__)
_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
_DOORLESS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
T = TypeVar("T")


class Door(Enum):
    """What became of asking a runner to close its door."""

    CLOSED = "closed"
    BUSY = "busy"
    """It stays open: somebody is in, or came in since."""

    MISSING = "missing"
    """Its image is of a time when runners had no door."""

    UNKNOWN = "unknown"
    """No answer that can be understood; it may be closed all the same."""


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """What a runner said to a `Closing`, with its status where it told one."""

    door: Door
    status: RunnerStatus | None = None


class RunnerProbe(ABC):
    """What pods say of themselves. None means: no answer, which proves nothing."""

    @abstractmethod
    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """The status of the runner pod at that address."""

    @abstractmethod
    async def progress(self, ip: str) -> Progress | None:
        """The progress of the pull pod at that address."""

    @abstractmethod
    async def close_door(self, ip: str, closing: Closing) -> DoorAnswer:
        """Ask the runner pod at that address to refuse new requests for a while."""

    @abstractmethod
    async def open_door(self, ip: str) -> None:
        """Ask the runner pod at that address to take requests again; it does so by itself, too."""

    @abstractmethod
    async def close(self) -> None:
        """Give up all connections."""


_DOORS: Final = {HTTPStatus.OK.value: Door.CLOSED, HTTPStatus.CONFLICT.value: Door.BUSY}


class HttpRunnerProbe(RunnerProbe):
    """Over HTTP, at most `TIMEOUT` seconds and `LARGEST_ANSWER` bytes each.

    Proxy variables and redirects are not followed: a pod's address is asked directly.
    `port` is another one in tests only.
    """

    def __init__(self, *, port: int = PORT, timeout: float = TIMEOUT) -> None:
        self._port = port
        self._http = aiohttp.ClientSession(
            # Pods come and go with their addresses: idle connections are not worth keeping long.
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A few compressed bytes may be many: what is not plain is not decoded.
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )

    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """See RunnerProbe."""
        return await self._get(ip, STATUS_PATH, RunnerStatus)

    async def progress(self, ip: str) -> Progress | None:
        """See RunnerProbe."""
        return await self._get(ip, PROGRESS_PATH, Progress)

    async def close_door(self, ip: str, closing: Closing) -> DoorAnswer:
        """See RunnerProbe."""
        url = self._url(ip, CLOSE_PATH)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._http.post(
                url, data=encode(closing), headers=headers, allow_redirects=False
            ) as answer:
                if answer.status in _DOORLESS:
                    return DoorAnswer(Door.MISSING)
                door = _DOORS.get(answer.status)
                if door is None:
                    return DoorAnswer(Door.UNKNOWN)
                return DoorAnswer(door, decode(RunnerStatus, await _bounded(answer)))
        except _NO_ANSWER as error:
            _log.debug("%s gave no answer: %r", url, error)
            return DoorAnswer(Door.UNKNOWN)

    async def open_door(self, ip: str) -> None:
        """See RunnerProbe."""
        url = self._url(ip, OPEN_PATH)
        try:
            async with self._http.post(url, allow_redirects=False):
                return
        except _NO_ANSWER as error:
            _log.debug("%s gave no answer: %r", url, error)

    async def close(self) -> None:
        """See RunnerProbe."""
        await self._http.close()

    def _url(self, ip: str, path: str) -> str:
        host = f"[{ip}]" if ":" in ip else ip
        return f"http://{host}:{self._port}{path}"

    async def _get(self, ip: str, path: str, kind: type[T]) -> T | None:
        url = self._url(ip, path)
        try:
            async with self._http.get(url, allow_redirects=False) as answer:
                if answer.status != HTTPStatus.OK:
                    return None
                return decode(kind, await _bounded(answer))
        except _NO_ANSWER as error:
            _log.debug("%s gave no answer: %r", url, error)
            return None


async def ask_runners(probe: RunnerProbe, pods: Iterable[Object]) -> dict[str, RunnerStatus | None]:
    """What pods say, by uid; those that cannot be asked yet are left out."""
    ips = {uid_of(pod): ip for pod in pods if (ip := address(pod))}
    told = await asyncio.gather(*map(probe.runner_status, ips.values()))
    return dict(zip(ips, told, strict=True))


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise WireError(f"an answer of more than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
