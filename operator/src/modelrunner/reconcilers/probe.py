"""Asking runner and pull pods how they are."""

import logging
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp

from modelrunner_protocol.codec import WireError, decode
from modelrunner_protocol.wire import (
    PORT,
    PROGRESS_PATH,
    STATUS_PATH,
    Progress,
    RunnerStatus,
)

TIMEOUT: Final = 1.0
LARGEST_ANSWER: Final = 64 * 1024
_CONNECTIONS: Final = 64
_IDLE_SECONDS: Final = 15.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RunnerProbe(ABC):
    """What pods say of themselves. None means: no answer, which proves nothing."""

    @abstractmethod
    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """The status of the runner pod at that address."""

    @abstractmethod
    async def progress(self, ip: str) -> Progress | None:
        """The progress of the pull pod at that address."""

    @abstractmethod
    async def close(self) -> None:
        """Give up all connections."""


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

    async def close(self) -> None:
        """See RunnerProbe."""
        await self._http.close()

    async def _get(self, ip: str, path: str, kind: type[T]) -> T | None:
        host = f"[{ip}]" if ":" in ip else ip
        url = f"http://{host}:{self._port}{path}"
        try:
            async with self._http.get(url, allow_redirects=False) as answer:
                if answer.status != HTTPStatus.OK:
                    return None
                return decode(kind, await _bounded(answer))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _log.debug("%s gave no answer: %r", url, error)
            return None


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise WireError(f"an answer of more than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
