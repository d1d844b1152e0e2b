"""The first bytes of a file somewhere else."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.remote_range import Head, read_head
from runnerd.weights.source import Body, RangeNotSatisfiableError

TEXT = b"0123456789" * 10


@dataclass
class _File:
    """Serves TEXT; without `ranges` always all of it."""

    ranges: bool = True
    etags: list[str] = field(default_factory=lambda: ["a"])
    short: int = 0
    total: int | None = len(TEXT)
    text: bytes = TEXT
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, start: int, stop: int) -> AbstractAsyncContextManager[Body]:
        return self._open(start, stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int) -> AsyncIterator[Body]:
        self.asked.append((start, stop))
        first = start if self.ranges else 0
        etag = self.etags.pop(0) if len(self.etags) > 1 else self.etags[0]
        data = self.text[first : stop - self.short] if self.ranges else self.text

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 7):
                yield data[at : at + 7]

        yield Body(start=first, total=self.total, etag=etag, validator=etag, chunks=chunks())


async def _read(file: _File, needed: int = 50, first: int = 10) -> Head[bytes]:
    def look(data: bytearray, size: int) -> bytes | int:
        assert size == file.total
        return bytes(data[:needed]) if len(data) >= needed else min(len(data) * 2, needed)

    return await read_head(file, "it", first, look)


async def test_more_is_asked_for_until_it_is_enough() -> None:
    """Each look tells how much more it needs, and nothing comes twice."""
    file = _File()
    assert await _read(file) == Head(TEXT[:50], 100, "a")
    assert file.asked == [(0, 10), (10, 20), (20, 40), (40, 50)]


async def test_a_server_without_ranges_is_asked_once() -> None:
    """It sends all of the file, of which as much is read as is needed."""
    file = _File(ranges=False)
    assert (await _read(file)).header == TEXT[:50]
    assert len(file.asked) == 1


async def test_a_server_that_gives_ranges_up_is_read_from_its_start() -> None:
    """A proxy may answer one request by a range and the next one by the whole file."""
    file = _File()

    def turning(start: int, stop: int) -> AbstractAsyncContextManager[Body]:
        file.ranges = not file.asked
        return file(start, stop)

    def look(data: bytearray, size: int) -> bytes | int:
        return bytes(data[:30]) if len(data) >= 30 < size else 30

    assert (await read_head(turning, "it", 10, look)).header == TEXT[:30]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (_File(etags=["a", "b"]), "the file changed"),
        (_File(short=3), "fewer bytes than it announced"),
    ],
)
async def test_what_may_pass(file: _File, says: str) -> None:
    """Another version, or a body that ends early, is asked for again."""
    with pytest.raises(TransientError, match=says):
        await _read(file)


async def test_an_unknown_length() -> None:
    """Nobody could make room for it."""
    with pytest.raises(WeightsError, match="it: the server does not tell the file's length"):
        await _read(_File(total=None))


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_empty_file(refuses: bool) -> None:
    """Whether its server refuses the range or sends nothing."""

    @asynccontextmanager
    async def refusing(start: int, stop: int) -> AsyncIterator[Body]:
        if refuses:
            raise RangeNotSatisfiableError(0)
        async with _File(total=0, text=b"")(start, stop) as body:
            yield body

    with pytest.raises(WeightsError, match="it is empty: upload the file again"):
        await read_head(refusing, "it", 10, lambda data, _: bytes(data))
