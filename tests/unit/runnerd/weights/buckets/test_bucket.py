"""A bucket that refuses us, and lets us in as somebody else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from obstore.exceptions import PermissionDeniedError

from runnerd.weights.buckets.bucket import MOST_OBJECTS, Bucket
from runnerd.weights.choice import StoredFile
from runnerd.weights.failure import DeniedError, WeightsError
from tests.unit.runnerd.weights.buckets.test_refusal import NOBODY

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass
class _Store:
    """Lists these pages; refuses whoever does not know the word."""

    word: str
    pages: list[list[dict[str, Any]]]

    async def list(
        self, prefix: str | None, chunk_size: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """As the library does."""
        await asyncio.sleep(0)
        if self.word != "good":
            raise PermissionDeniedError(f"status code: 403 {prefix} {chunk_size}")
        for page in self.pages:
            yield page


@dataclass
class _Entrance:
    """Comes with one word after the other."""

    words: list[str]
    pages: list[list[dict[str, Any]]] = field(default_factory=list)
    connected: int = 0
    asker = NOBODY

    def connect(self) -> "ObjectStore":
        self.connected += 1
        return cast("ObjectStore", _Store(self.words[0], self.pages))

    def renew(self) -> bool:
        del self.words[0]
        return bool(self.words)


def _one(path: str, etag: str | None) -> dict[str, Any]:
    return {"path": path, "size": 7, "e_tag": etag}


async def test_paths_are_those_in_the_folder() -> None:
    """Sorted, without the folder itself; tags have one spelling, whoever leaves out its quotes."""
    page = [_one("a/z", '"1"'), _one("a", None), _one("a/b/c", "0x1")]
    found = await Bucket(_Entrance(["good"], [page, [_one("a/d", None)]])).files("a")
    assert found == (
        StoredFile(path="b/c", size=7, etag='"0x1"'),
        StoredFile(path="d", size=7),
        StoredFile(path="z", size=7, etag='"1"'),
    )


async def test_another_way_in_is_tried_once_for_all() -> None:
    """Requests side by side are refused together; one of them looks for new keys."""
    entrance = _Entrance(["bad", "good"], [[_one("z", None)]])
    bucket = Bucket(entrance)
    found = await asyncio.gather(*(bucket.files("") for _ in range(3)))
    assert [len(one) for one in found] == [1, 1, 1]
    assert entrance.connected == 2


async def test_no_way_in_is_left() -> None:
    """The last refusal is told."""
    with pytest.raises(DeniedError, match="403"):
        await Bucket(_Entrance(["bad", "worse"])).files("")


async def test_a_bucket_of_everything() -> None:
    """Nobody waits for the names of millions of objects."""
    page = [_one(str(number), None) for number in range(MOST_OBJECTS + 1)]
    with pytest.raises(WeightsError, match=r"name a folder in spec\.source\.gcs\.prefix"):
        await Bucket(_Entrance(["good"], [page])).files("")
