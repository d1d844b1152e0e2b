"""A model of a Hub's repository as a source of weights."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import aiohttp

from modelrunner_protocol.sources import describe_hugging_face
from modelrunner_protocol.wire import Artifact, HuggingFaceSource, WeightsFile
from runnerd.weights.choice import StoredFile, choose
from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.http_body import body_of, range_header
from runnerd.weights.http_session import get, parse_url
from runnerd.weights.http_status import transient
from runnerd.weights.huggingface.hub import Hub
from runnerd.weights.remote_header import read_artifact
from runnerd.weights.remote_tensors import read_index
from runnerd.weights.retry import Patience
from runnerd.weights.source import Body, WrongDigestError
from runnerd.weights.tensor_files import base_name

_MEND: Final = "mend the Hub, or the proxy before it"


class HuggingFaceWeights:
    """A model in a repository; see `WeightsSource`.

    Args:
        source: Which one.
        hub: Where, and as whom.
        session: From `http_session.new_session`.
        patience: With which `resolve` tries again after transient errors.
    """

    def __init__(
        self,
        source: HuggingFaceSource,
        hub: Hub,
        session: aiohttp.ClientSession,
        patience: Patience,
    ) -> None:
        self._source = source
        self._hub = hub
        self._session = session
        self._where = describe_hugging_face(source)
        self._patience = patience
        self._commit = ""
        self._paths: dict[str, str] = {}

    async def resolve(self) -> Artifact:
        """Ask for the files of the revision, and read the model's header by ranges.

        Raises:
            WeightsError: nothing there, nothing that can be run, or no answer in time.
        """
        return await self._patience.persist(f"resolving {self._where}", self._resolve)

    async def list(self) -> tuple[WeightsFile, ...]:
        """The files alone; nothing of them is read.

        Raises:
            WeightsError: see `resolve`.
        """
        return await self._patience.persist(f"resolving {self._where}", lambda: self._list(""))

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """All files at the commit that was resolved, whatever its branch has become since."""
        return await self._list(expected.revision)

    @asynccontextmanager
    async def open(
        self,
        file: WeightsFile,
        *,
        start: int = 0,
        stop: int | None = None,
        validator: str = "",  # noqa: ARG002 - a commit's file never changes
    ) -> AsyncIterator[Body]:
        """Read a range of a file; see `WeightsSource.open`."""
        url = parse_url(self._hub.url(self._source, self._commit, self._paths[file.path]))
        headers = range_header(start, stop)
        async with get(
            self._session, url, headers, authorization=self._hub.authorization, mend=_MEND
        ) as response:
            if response.status not in {200, 206, 416}:
                raise self._refusal(response, response.url.origin() != url.origin())
            yield body_of(response, start, validator=file.sha256)

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """The failure to tell when a file is not what the Hub says; see `WeightsSource`."""
        return WrongDigestError(
            f"{self._paths.get(file.path, file.path)} of {self._where} has sha256 {found} instead "
            f"of {file.sha256}: the Hub, or a proxy before it, is damaged",
            retryable=True,
        )

    async def _resolve(self) -> Artifact:
        files = await self._list("")
        artifact = await read_artifact(files, self.open, self._where, self._paths[files[0].path])
        return replace(artifact, revision=self._commit)

    async def _list(self, revision: str) -> tuple[WeightsFile, ...]:
        snapshot = await self._hub.snapshot(self._source, revision)
        choice = choose(self._source, snapshot.files, self._where)
        self._commit = snapshot.commit
        if choice.index is not None:
            choice = choice.indexed(await self._read(choice.index), self._where)
        names = choice.named()
        self._paths = {name: file.path for name, file, _ in names}
        return tuple(
            WeightsFile(path=name, size_bytes=file.size, sha256=file.sha256, kind=kind)
            for name, file, kind in names
        )

    async def _read(self, stored: StoredFile) -> bytes:
        """The index of a model's files."""
        name = base_name(stored.path)
        self._paths = {name: stored.path}
        file = WeightsFile(path=name, size_bytes=stored.size, sha256=stored.sha256)
        return await read_index(file, self.open, self._where)

    def _refusal(self, response: aiohttp.ClientResponse, elsewhere: bool) -> Exception:
        status = response.status
        if (passing := transient(status, response.headers)) is not None:
            return passing
        if elsewhere and status in {400, 401, 403}:
            # A signed URL is good for minutes only: the Hub makes a new one.
            return TransientError(f"{response.url.host} answered {status}")
        if status in {401, 403}:
            return self._hub.denied(status, self._source)
        return WeightsError(f"{self._where}: the Hub answered {status}", retryable=True)
