"""Weights behind an http(s) URL: one file."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from modelrunner_protocol.sources import describe_url, file_name
from modelrunner_protocol.wire import Artifact, HttpSource, WeightsFile
from runnerd.weights import formats, gguf
from runnerd.weights.clock import Clock
from runnerd.weights.failure import TransientError, WeightsError, unsupported
from runnerd.weights.http_session import get, parse_url, reason_of
from runnerd.weights.http_status import content_range, refusal
from runnerd.weights.retry import Retrier
from runnerd.weights.source import Body, RangeNotSatisfiableError

FIRST_HEADER_READ: Final = 2 * 1024 * 1024
"""Bytes that are asked for first; the header of a model with 49,000 tokens fits."""


class HttpWeights:
    """A file on a web server; see `WeightsSource`.

    Args:
        source: The URL, and the file's sha256 if the user gave it.
        session: From `http_session.new_session`.
        timeout: Seconds for which `resolve` tries again after transient errors.
    """

    def __init__(
        self,
        source: HttpSource,
        session: aiohttp.ClientSession,
        *,
        timeout: float,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._session = session
        self._url = parse_url(source.url)
        self._where = describe_url(source.url)
        self._timeout = timeout
        self._clock = clock
        self._chance = chance

    async def resolve(self) -> Artifact:
        """Read the file's header by ranges: its size, format and metadata.

        Raises:
            WeightsError: nothing there, nothing that can be run, or no answer in time.
        """
        retrier = Retrier(
            what=f"resolving {self._where}",
            limit=self._timeout,
            clock=self._clock,
            chance=self._chance,
        )
        retrier.begin()
        while True:
            try:
                return await self._attempt()
            except TransientError as error:
                await retrier.pause(error)

    @asynccontextmanager
    async def open(
        self,
        file: WeightsFile,  # noqa: ARG002 - other sources have several, an http source has one
        *,
        start: int = 0,
        stop: int | None = None,
        validator: str = "",
    ) -> AsyncIterator[Body]:
        """Read a range of the file; see `WeightsSource.open`. There is only one file."""
        # Not HEAD: many a pre-signed URL is signed for GET alone.
        headers = {}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        if start and validator:
            headers["If-Range"] = validator
        async with get(self._session, self._url, headers) as response:
            yield _body(self._where, response, start)

    async def _attempt(self) -> Artifact:
        try:
            # A server that trickles bytes is never silent long enough to be cut off.
            async with asyncio.timeout(self._timeout):
                return await self._resolve()
        except TimeoutError as error:
            raise TransientError("the header did not come in time") from error

    async def _resolve(self) -> Artifact:
        file = WeightsFile(path=file_name(self._source), size_bytes=0)
        data, etag, wanted = bytearray(), "", FIRST_HEADER_READ
        while True:
            try:
                async with self.open(file, start=len(data), stop=wanted) as body:
                    size = self._length(body)
                    if body.start != len(data) or (data and body.etag != etag):
                        raise TransientError("the file changed while it was read")
                    etag = body.etag
                    header = await _scan(body, data, size, wanted)
            except RangeNotSatisfiableError:
                raise unsupported(f"{self._where} is empty: upload the file again") from None
            except gguf.GgufError as error:
                raise formats.not_gguf(self._where, bytes(data[:64]), error) from error
            if header is not None:
                return self._artifact(header, file.path, size, etag)
            wanted = min(len(data) * 4, gguf.HEADER_LIMIT)

    def _length(self, body: Body) -> int:
        if body.total is None:
            raise WeightsError(
                f"{self._where}: the server does not tell the file's length: it has to send "
                "Content-Length or to support ranges"
            )
        return body.total

    def _artifact(self, header: gguf.GgufHeader, name: str, size: int, etag: str) -> Artifact:
        formats.check_model(self._where, header)
        shard, shards = formats.shard_of(name, header)
        if shards > 1:
            raise unsupported(
                f"{self._where} is part {shard} of {shards} of a split model, and an http source is "
                "a single file: merge the parts (llama-gguf-split --merge), or put all of them on a "
                "volume and use spec.source.persistentVolumeClaim"
            )
        sha256 = self._source.sha256
        file = WeightsFile(path=name, size_bytes=size, sha256=sha256)
        digest = f"sha256:{sha256}" if sha256 else ""
        return formats.artifact_of(header, (file,), digest=digest, etag=etag)


def _body(where: str, response: aiohttp.ClientResponse, start: int) -> Body:
    headers = response.headers
    first, total = content_range(headers.get("Content-Range"))
    if response.status == 416:
        raise RangeNotSatisfiableError(total)
    if response.status not in {200, 206}:
        raise refusal(where, response.status, headers)
    if response.status == 200:
        first, total = 0, response.content_length
    elif first != start:
        raise TransientError(f"the server sent bytes from {first} when asked for {start}")
    etag = headers.get("ETag", "")
    weak = etag.startswith("W/")
    return Body(
        start=first or 0,
        total=total,
        etag=etag,
        validator=headers.get("Last-Modified", "") if weak or not etag else etag,
        chunks=_chunks(response),
    )


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whatever has arrived, at most the client's buffer (2 MiB) at a time."""
    while True:
        try:
            chunk = await response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Or a connection that breaks after every few bytes would never come further.
            if rest := _received(response.content):
                yield rest
            raise TransientError(f"the connection broke off ({reason_of(error)})") from error
        if not chunk:
            return
        yield chunk


def _received(content: aiohttp.StreamReader) -> bytes:
    """What came before the connection broke, which the reader hides behind the error."""
    content.set_exception(None)  # type: ignore[arg-type]  # what it is before an error
    return content.read_nowait()


async def _scan(body: Body, data: bytearray, size: int, wanted: int) -> gguf.GgufHeader | None:
    """Append the body to `data` until the header is there; None when the range was too short."""
    enough = min(wanted, size)
    async for chunk in body.chunks:
        data += chunk
        if len(data) < enough:
            continue
        try:
            return gguf.parse(data, size)
        except gguf.TruncatedError:
            # Each look starts from the beginning, so only after the prefix has grown fourfold.
            enough = min(len(data) * 4, gguf.HEADER_LIMIT, size)
    if size == 0:
        raise RangeNotSatisfiableError(0)
    if len(data) < min(wanted, size):
        raise TransientError("the server sent fewer bytes than it announced")
    return None
