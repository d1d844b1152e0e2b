"""The hash that follows the writers."""

import hashlib
import threading
from collections.abc import Iterator

import pytest

from runnerd.weights.trail import Trail
from tests.cluster.waiting import wait_until

DATA = bytes(range(256)) * 9000


class _File:
    """Bytes in memory; `gate` holds readers up."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.gate = threading.Event()
        self.gate.set()
        self.reads = 0

    def read(self, block: memoryview, at: int) -> int:
        self.gate.wait(30)
        self.reads += 1
        found = self.data[at : at + len(block)]
        block[: len(found)] = found
        return len(found)


@pytest.fixture
def file() -> _File:
    """A file that can be read at once."""
    return _File()


@pytest.fixture
def trail(file: _File) -> Iterator[Trail]:
    """Closed at the end."""
    trail = Trail(file.read)
    yield trail
    file.gate.set()
    trail.close()


def _open_once_stopped(trail: Trail, file: _File) -> None:
    """Let the reader go on when it has been told to stop, and no sooner."""

    def opens() -> None:
        wait_until("it is told to stop", lambda: trail._stopped, interval=0.001)
        file.gate.set()

    threading.Thread(target=opens).start()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_as_far_as_it_is_written(trail: Trail) -> None:
    """Each reach is hashed once, and no byte behind it."""
    for reach in (0, 1, 1000, 700_000, 700_000, 2_000_000):
        trail.follow(reach)
        await trail.caught_up()
        assert trail.hexdigest() == _sha256(DATA[:reach])


async def test_nobody_waits_for_it(trail: Trail, file: _File) -> None:
    """Writers go on while it reads; all that they told is hashed in the end."""
    file.gate.clear()
    for reach in range(0, len(DATA), 100_000):
        trail.follow(reach)
    trail.follow(len(DATA))
    file.gate.set()
    await trail.caught_up()
    assert trail.hexdigest() == _sha256(DATA)


async def test_what_comes_next_is_not_read_again(trail: Trail, file: _File) -> None:
    """Bytes in order are hashed from where they are; behind a gap they are left to be read."""
    for at in range(0, 500_000, 100_000):
        taken = trail.take(DATA[at : at + 100_000], at)
        assert taken is not None
        taken.result(30)
    assert trail.take(DATA[600_000:700_000], 600_000) is None
    assert file.reads == 0
    trail.follow(700_000)
    await trail.caught_up()
    assert trail.hexdigest() == _sha256(DATA[:700_000])
    assert file.reads == 1


async def test_who_is_behind_takes_nothing(trail: Trail, file: _File) -> None:
    """What is next by its place alone would hold its writer up until all before it is hashed."""
    file.gate.clear()
    trail.follow(1000)
    assert trail.take(DATA[:1000], 0) is None
    file.gate.set()
    await trail.caught_up()
    assert trail.hexdigest() == _sha256(DATA[:1000])


async def test_beginning_anew_leaves_the_rest_unread(trail: Trail, file: _File) -> None:
    """What belonged to another version is not read to its end first."""
    file.gate.clear()
    trail.follow(len(DATA))
    _open_once_stopped(trail, file)
    await trail.restart()
    # The one that was being read.
    assert file.reads <= 1
    trail.follow(5000)
    await trail.caught_up()
    assert trail.hexdigest() == _sha256(DATA[:5000])


async def test_a_file_that_became_shorter(trail: Trail) -> None:
    """Somebody else cut it: that is an error of the volume, not a wrong digest."""
    trail.follow(len(DATA) + 1)
    with pytest.raises(OSError, match="shorter"):
        await trail.caught_up()


async def test_closing_does_not_wait_for_the_rest(file: _File) -> None:
    """A pull that fails ends at once."""
    trail = Trail(file.read)
    file.gate.clear()
    trail.follow(1000)
    trail.follow(len(DATA))
    _open_once_stopped(trail, file)
    trail.close()
    assert file.reads <= 1
