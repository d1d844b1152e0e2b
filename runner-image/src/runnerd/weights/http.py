"""Weights behind an http(s) URL: one file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import aiohttp
from yarl import URL

from modelrunner_protocol.sources import describe_url, file_name
from modelrunner_protocol.wire import Artifact, HttpSource, WeightsFile
from runnerd.weights import formats, tensor_model
from runnerd.weights.disk import size_text
from runnerd.weights.failure import TransientError, WeightsError, unsupported
from runnerd.weights.http_body import body_of, range_header
from runnerd.weights.http_session import get, parse_url
from runnerd.weights.http_status import refusal
from runnerd.weights.names import digest_of
from runnerd.weights.remote_header import read_remote_header
from runnerd.weights.remote_tensors import read_remote_tensors
from runnerd.weights.retry import Patience
from runnerd.weights.source import Body, WrongDigestError
from runnerd.weights.tensor_files import is_tensors

_SIGNATURE_ENDED: Final = frozenset({400, 401, 403})
"""What stores answer to a signature whose time is over."""


class HttpWeights:
    """A file on a web server; see `WeightsSource`.

    Args:
        source: The URL, and the file's sha256 if the user gave it.
        session: From `http_session.new_session`.
        patience: With which `resolve` tries again after transient errors.
    """

    def __init__(
        self, source: HttpSource, session: aiohttp.ClientSession, patience: Patience
    ) -> None:
        self._source = source
        self._session = session
        self._url = parse_url(source.url)
        self._where = describe_url(source.url)
        self._patience = patience

    async def resolve(self) -> Artifact:
        """Read the file's header by ranges: its size, format and metadata.

        Raises:
            WeightsError: nothing there, nothing that can be run, or no answer in time.
        """
        return await self._patience.persist(f"resolving {self._where}", self._resolve)

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """The one file that was resolved, with the digest that the user gave."""
        if len(expected.files) != 1:
            raise WeightsError(f"{len(expected.files)} files are expected; an http source has one")
        file = expected.files[0]
        return (replace(file, sha256=file.sha256 or self._source.sha256),)

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
        headers = range_header(start, stop)
        if start and validator:
            headers["If-Range"] = validator
        async with get(self._session, self._url, headers) as response:
            if response.status in _SIGNATURE_ENDED and _place(response.url) != _place(self._url):
                # A signed URL is good for minutes only: its origin makes a new one.
                host, status = response.url.host, response.status
                raise TransientError(f"{host}, which it leads to, answered {status}")
            if response.status not in {200, 206, 416}:
                raise refusal(self._where, response.status, response.headers)
            yield body_of(response, start)

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """The failure to tell when the file has another sha256; see `WeightsSource`."""
        return WrongDigestError(
            f"the file at {self._where} has sha256 {found}, the Model says {file.sha256}: "
            f"correct spec.source.http.sha256, or the file ({size_text(file.size_bytes)})"
        )

    async def _resolve(self) -> Artifact:
        file = WeightsFile(path=file_name(self._source), size_bytes=0)
        if is_tensors(file.path):
            return await self._resolve_tensors(file)
        found = await read_remote_header(
            lambda start, stop: self.open(file, start=start, stop=stop), self._where
        )
        shard, shards = formats.shard_of(file.path, found.header)
        if shards > 1:
            raise unsupported(
                f"{self._where} is part {shard} of {shards} of a split model, and an http source is "
                "a single file: merge the parts (llama-gguf-split --merge), or put all of them on a "
                "volume and use spec.source.persistentVolumeClaim"
            )
        file = self._sized(file, found.size)
        digest = digest_of((file,))
        return formats.artifact_of(found.header, (file,), digest=digest, etag=found.etag)

    async def _resolve_tensors(self, file: WeightsFile) -> Artifact:
        """Of a safetensors file alone: what tells more lies beside it, and has no URL here."""
        found = await read_remote_tensors(
            lambda start, stop: self.open(file, start=start, stop=stop), self._where, file.path
        )
        files = (self._sized(file, found.size),)
        digest = digest_of(files)
        return tensor_model.artifact_of(
            [found.header], {}, files, self._where, digest=digest, etag=found.etag
        )

    def _sized(self, file: WeightsFile, size: int) -> WeightsFile:
        found = replace(file, size_bytes=size, sha256=self._source.sha256)
        formats.check_files((found,), self._where)
        return found


def _place(url: URL) -> tuple[URL, str]:
    """What is asked for where: without a user and a fragment, which are not sent."""
    return url.origin(), url.raw_path_qs
