"""A bucket, by the client library obstore: what it holds, and the bytes of its objects."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import BaseError

from runnerd.weights.buckets.entrance import Entrance
from runnerd.weights.buckets.refusal import refusal
from runnerd.weights.choice import StoredFile
from runnerd.weights.failure import DeniedError, WeightsError

if TYPE_CHECKING:
    # They are in its type stubs only.
    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore

MOST_OBJECTS: Final = 10_000
_PAGE: Final = 1000
_FAILURES: Final = (BaseError, OSError, ValueError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An object's bytes from `start` on; `size` is that of the whole object."""

    start: int
    size: int
    etag: str
    chunks: AsyncIterator[bytes]


class Bucket:
    """One bucket of whatever store.

    Args:
        entrance: Which one, and as whom.

    Raises:
        WeightsError: the Secret is not good.
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._store = entrance.connect()

    @property
    def field(self) -> str:
        """The source's field, for messages."""
        return self._entrance.asker.field

    async def files(self, prefix: str) -> tuple[StoredFile, ...]:
        """The objects in the folder `prefix`, paths relative to it.

        Raises:
            WeightsError: not for us, or too many.
            TransientError: trying again may help.
        """
        found = await self._asked(lambda store: self._list(store, prefix))
        return tuple(sorted(found, key=lambda file: file.path))

    async def look(self, path: str) -> StoredFile:
        """One object, by its first byte: nobody says why a HEAD is refused.

        Raises:
            RangeNotSatisfiableError: it is empty.
            WeightsError: there is none, or it is not for us.
            TransientError: trying again may help.
        """
        opened = await self.open(path, 0, 1)
        return StoredFile(path=path, size=opened.size, etag=opened.etag)

    async def open(self, path: str, start: int, stop: int | None, etag: str = "") -> Opened:
        """Bytes [start, stop) of an object, of that version if `etag` is not "".

        Raises:
            ChangedError: it is another version.
            RangeNotSatisfiableError: `start` is not inside the object.
            WeightsError: there is none, or it is not for us.
            TransientError: trying again may help.
        """
        options: GetOptions = {"if_match": etag} if etag else {}
        if stop is not None:
            options["range"] = (start, stop)
        elif start:
            options["range"] = {"offset": start}
        found = await self._asked(
            lambda store: obstore.get_async(store, path, options=options), path
        )
        return Opened(
            start=found.range[0],
            size=found.meta["size"],
            etag=_tag(found.meta["e_tag"]),
            chunks=self._chunks(found, path),
        )

    async def _asked(self, ask: "Callable[[ObjectStore], Awaitable[T]]", path: str = "") -> T:
        """The store's answer; asked again where we can come as somebody else.

        Keys expire during a long pull, and their Secret gets new ones.
        """
        while True:
            store = self._store
            try:
                return await ask(store)
            except _FAILURES as error:
                failure = refusal(str(error), self._entrance.asker, path)
                if not isinstance(failure, DeniedError):
                    raise failure from error
                # Of parts that come side by side one is the first to notice.
                if self._store is store:
                    if not self._entrance.renew():
                        raise failure from error
                    self._store = self._entrance.connect()

    async def _list(self, store: "ObjectStore", prefix: str) -> list[StoredFile]:
        folder = f"{prefix}/" if prefix else ""
        skipped = len(folder)
        found: list[StoredFile] = []
        async for page in store.list(prefix or None, chunk_size=_PAGE):
            found += [
                StoredFile(path=one["path"][skipped:], size=one["size"], etag=_tag(one["e_tag"]))
                for one in page
                # Some tools make an empty object that stands for the folder, and a server may list
                # what it was not asked for.
                if one["path"].startswith(folder) and one["path"][skipped:]
            ]
            if len(found) > MOST_OBJECTS:
                asker = self._entrance.asker
                raise WeightsError(
                    f"the {asker.noun} {asker.name} has more than {MOST_OBJECTS} objects there: name "
                    f"a folder in {asker.field}.prefix"
                )
        return found

    async def _chunks(self, found: "GetResult", path: str) -> AsyncIterator[bytes]:
        try:
            # As they come: what is collected when a connection breaks would be lost.
            async for chunk in found.stream(min_chunk_size=1):
                yield chunk
        except _FAILURES as error:
            raise refusal(str(error), self._entrance.asker, path) from error


def _tag(etag: str | None) -> str:
    """An entity tag in its one spelling: Azure's lists leave out the quotes that its answers have."""
    if not etag or etag.endswith('"'):
        return etag or ""
    return f'"{etag}"'
