"""Asking runner and pull pods how they are."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final, TypeVar

import httpx

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
        # Pods come and go with their addresses, so idle connections are not worth keeping long.
        self._http = httpx.AsyncClient(
            timeout=timeout,
            limits=httpx.Limits(
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_CONNECTIONS,
                keepalive_expiry=15.0,
            ),
            trust_env=False,
            follow_redirects=False,
        )
        self._timeout = timeout

    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """See RunnerProbe."""
        return await self._get(ip, STATUS_PATH, RunnerStatus)

    async def progress(self, ip: str) -> Progress | None:
        """See RunnerProbe."""
        return await self._get(ip, PROGRESS_PATH, Progress)

    async def close(self) -> None:
        """See RunnerProbe."""
        await self._http.aclose()

    async def _get(self, ip: str, path: str, kind: type[T]) -> T | None:
        host = f"[{ip}]" if ":" in ip else ip
        url = f"http://{host}:{self._port}{path}"
        try:
            # httpx bounds each read; a pod that drips bytes is bounded here.
            async with asyncio.timeout(self._timeout), self._http.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    return None
                body = await _bounded(answer)
            return decode(kind, body)
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            WireError,
            TimeoutError,
            UnicodeDecodeError,
        ) as error:
            _log.debug("%s gave no answer: %r", url, error)
            return None


async def _bounded(answer: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise WireError(f"an answer of more than {LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
