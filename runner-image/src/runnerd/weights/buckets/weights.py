"""A model of a bucket as a source of weights."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Final

from modelrunner_protocol.sources import Bucket as BucketSource
from modelrunner_protocol.sources import describe_bucket
from modelrunner_protocol.wire import Artifact, WeightsFile
from runnerd.weights.buckets.bucket import Bucket
from runnerd.weights.buckets.refusal import ChangedError
from runnerd.weights.choice import Choice, StoredFile, choose
from runnerd.weights.download import SourceChangedError
from runnerd.weights.failure import MissingError, WeightsError, unsupported
from runnerd.weights.formats import shard_names
from runnerd.weights.http_status import is_strong
from runnerd.weights.remote_header import read_artifact
from runnerd.weights.remote_tensors import read_index
from runnerd.weights.retry import Patience
from runnerd.weights.source import Body, RangeNotSatisfiableError, WrongDigestError
from runnerd.weights.tensor_files import base_name, is_tensors, part_of

_ENDING: Final = ".gguf"


class BucketWeights:
    """A model in a bucket; see `WeightsSource`.

    A store tells no digests of large objects: what was uploaded in parts has a checksum of its
    parts' checksums. Ranges are tied together by the object's ETag.

    Args:
        source: Which one.
        bucket: Where, and as whom.
        patience: With which `resolve` tries again after transient errors.
    """

    def __init__(self, source: BucketSource, bucket: Bucket, patience: Patience) -> None:
        self._source = source
        self._bucket = bucket
        self._field = bucket.field
        self._where = describe_bucket(source)
        self._patience = patience
        self._paths: dict[str, str] = {}

    async def resolve(self) -> Artifact:
        """Look at the objects, and read the model's header by ranges.

        Raises:
            WeightsError: nothing there, nothing that can be run, or no answer in time.
        """
        return await self._patience.persist(f"resolving {self._where}", self._resolve)

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """All files as they are now, of the size that was resolved."""
        found = await self._list()
        size = sum(file.size_bytes for file in found)
        if size != expected.size_bytes:
            raise SourceChangedError(self._where, expected.size_bytes, size)
        return found

    @asynccontextmanager
    async def open(
        self, file: WeightsFile, *, start: int = 0, stop: int | None = None, validator: str = ""
    ) -> AsyncIterator[Body]:
        """Read a range of a file; see `WeightsSource.open`."""
        path = self._paths[file.path]
        try:
            opened = await self._bucket.open(path, start, stop, validator)
        except ChangedError as error:
            if len(self._paths) > 1:
                # The other files may have changed, too: all are looked at again.
                raise WeightsError(
                    f"{path} of {self._where} changed while the model was pulled", retryable=True
                ) from error
            opened = await self._bucket.open(path, 0, None)
        yield Body(
            start=opened.start,
            total=opened.size,
            etag=opened.etag,
            validator=opened.etag if is_strong(opened.etag) else "",
            chunks=opened.chunks,
        )

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """The failure to tell when a file has another sha256; see `WeightsSource`."""
        return WrongDigestError(
            f"{self._paths.get(file.path, file.path)} of {self._where} has sha256 {found} instead "
            f"of {file.sha256}",
            retryable=True,
        )

    async def _resolve(self) -> Artifact:
        files = await self._list()
        artifact = await read_artifact(files, self.open, self._where, self._paths[files[0].path])
        return replace(artifact, etag=_tag(files))

    async def _list(self) -> tuple[WeightsFile, ...]:
        named = (await self._chosen()).named()
        self._paths = {name: self._key(file.path) for name, file, _ in named}
        return tuple(
            WeightsFile(
                path=name,
                size_bytes=file.size,
                kind=kind,
                etag=file.etag if is_strong(file.etag) else "",
            )
            for name, file, kind in named
        )

    async def _chosen(self) -> Choice:
        prefix = self._source.prefix
        if _is_file(prefix):
            if is_tensors(prefix) and part_of(prefix)[1] > 1:
                raise unsupported(
                    f"{self._where} is one part of several: set {self._field}.prefix to its folder"
                )
            names = shard_names(prefix) or (prefix,)
            return Choice(weights=tuple([await self._look(name) for name in names]))
        files = await self._bucket.files(prefix)
        if not files:
            raise MissingError(
                f"{self._where} has no objects: set {self._field}.prefix to a folder, or to an object "
                f"that ends in {_ENDING}"
            )
        choice = choose(self._source, files, self._where)
        if choice.index is None:
            return choice
        name = base_name(choice.index.path)
        self._paths = {name: self._key(choice.index.path)}
        index = WeightsFile(path=name, size_bytes=choice.index.size)
        return choice.indexed(await read_index(index, self.open, self._where), self._where)

    async def _look(self, path: str) -> StoredFile:
        try:
            return await self._bucket.look(path)
        except RangeNotSatisfiableError:
            raise unsupported(f"{path} of {self._where} is empty: upload it again") from None

    def _key(self, path: str) -> str:
        """An object's name in the bucket."""
        prefix = self._source.prefix
        if _is_file(prefix) or not prefix:
            return path
        return f"{prefix}/{path}"


def _is_file(prefix: str) -> bool:
    """Whether it names one object, not a folder."""
    return prefix.lower().endswith(_ENDING) or is_tensors(prefix)


def _tag(files: tuple[WeightsFile, ...]) -> str:
    """One name for the version of all files, "" where the store tells none of one."""
    if not all(file.etag for file in files):
        return ""
    if len(files) == 1:
        return files[0].etag
    text = "".join(f"{file.path} {file.etag}\n" for file in files)
    return f'"{sha256(text.encode()).hexdigest()}"'
