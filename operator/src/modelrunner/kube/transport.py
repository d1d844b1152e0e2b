"""HTTP to the API server: credentials, time limits, size limits, typed errors."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
import msgspec
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.config import ConfigException

from modelrunner.kube.errors import Invalid, KubeError, Unavailable, error_of
from modelrunner.kube.objects import KubeObject

JSON: Final = "application/json"
_CONNECT_SECONDS: Final = 10.0
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_LONGEST_LINE: Final = 16 * 1024 * 1024
"""Of a stream; etcd holds no object of more than a tenth of it."""


class Transport:
    """Requests to one API server. `timeout` bounds each whole answer in seconds."""

    def __init__(self, api: ApiClient, *, timeout: float) -> None:
        self._api = api
        self._closed = False
        self._streams: set[aiohttp.ClientResponse] = set()
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, _CONNECT_SECONDS))

    async def close(self) -> None:
        """Close all connections; requests in flight and later ones raise Unavailable."""
        self._closed = True
        for answer in self._streams:
            # Whoever reads from it would else wait for ever.
            _abandon(answer)
        await self._api.close()  # type: ignore[no-untyped-call]  # the library has no types

    def require_open(self, what: str) -> None:
        """Raise Unavailable when closed: the library would quietly open new connections."""
        if self._closed:
            raise Unavailable(0, "Closed", f"{what}: the client is closed")

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = JSON,
    ) -> KubeObject:
        """One request; returns the JSON object of its answer.

        Raises:
            KubeError: refused (see errors.py), no answer, or one that is no JSON object.
        """
        what = f"{method} {path}"
        self.require_open(what)
        with self._told(what):
            async with await self._send(method, path, body, content_type, self._timeout) as answer:
                raw = await _bounded(answer)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, raw)
        return decoded(raw)

    @asynccontextmanager
    async def stream(self, path: str, *, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on until the server ends it.

        Raises:
            KubeError: refused on entering; while reading: cut off, or silent for more than `idle`
                seconds.
        """
        what = f"GET {path}"
        self.require_open(what)
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=idle)
        with self._told(what):
            answer = await self._send("GET", path, None, JSON, timeout)
        async with answer:
            if not 200 <= answer.status < 300:
                with self._told(what):
                    raise _refusal(answer, await _bounded(answer))
            self._streams.add(answer)
            try:
                async with aclosing(self._lines(answer, what)) as lines:
                    yield lines
            finally:
                self._streams.discard(answer)
                _abandon(answer)

    async def _lines(self, answer: aiohttp.ClientResponse, what: str) -> AsyncGenerator[bytes]:
        rest = b""
        with self._told(what):
            async for part in answer.content.iter_any():
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    yield line
                if len(rest) > _LONGEST_LINE:
                    raise Invalid(0, "TooLarge", f"a line of more than {_LONGEST_LINE} bytes")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn whatever the libraries raise into our errors."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            said = f"{what}: {type(error).__name__}: {error}"
            raise Unavailable(0, "Unreachable", said) from error
        except (AssertionError, RuntimeError) as error:
            # How aiohttp says that its session was closed under a request.
            if not self._closed:
                raise
            raise Unavailable(0, "Closed", f"{what}: the client is closed") from error

    async def _send(
        self, method: str, path: str, body: Any, content_type: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": JSON,
            "Content-Type": content_type,
            "User-Agent": str(self._api.user_agent),
        }
        # Refreshes a token that is about to expire.
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._api.configuration.host}{path}"
        answer = await self._api.call_api(
            method, url, header_params=headers, body=body, _request_timeout=timeout
        )
        response: aiohttp.ClientResponse = answer.response
        return response


def decoded(raw: bytes) -> KubeObject:
    """A JSON object.

    Raises:
        Unavailable: it is something else; a proxy in between may have said it.
    """
    try:
        # Keys that were met before are not stored anew: a watched Model takes a quarter less.
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise Unavailable(0, "Unreadable", f"not JSON: {raw[:100]!r}") from error
    if not isinstance(found, dict):
        raise Unavailable(0, "Unreadable", f"not an object: {raw[:100]!r}")
    return found


def _abandon(answer: aiohttp.ClientResponse) -> None:
    """End a connection in the middle of its answer, and tell whoever reads from it.

    Without the farewell of TLS: the other end may be a machine that is no more.
    """
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
    answer.close()


def _refusal(answer: aiohttp.ClientResponse, raw: bytes) -> KubeError:
    try:
        told = decoded(raw)
    except KubeError:
        told = {"message": raw[:500].decode(errors="replace")}
    return error_of(answer.status, told, answer.headers.get("Retry-After"))


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 20):
        size += len(part)
        if size > _LARGEST_ANSWER:
            raise Invalid(0, "TooLarge", f"an answer of more than {_LARGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)
