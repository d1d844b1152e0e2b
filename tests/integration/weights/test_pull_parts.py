"""Parts of one file fetched side by side: faster where one connection is slow, and as safe."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from modelrunner_protocol.wire import Artifact
from tests.integration.weights.commands import (
    Commands,
    Running,
    assert_cached,
    until,
)
from tests.integration.weights.conftest import MIB
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model

SIZE = 75 * MIB + 1234
PIECE = 16 * MIB
CONNECTIONS = 4


@pytest.fixture(scope="module")
def weights() -> bytes:
    """Made once: random bytes take their time."""
    return model(SIZE)


@pytest.fixture
def commands(commands: Commands, server: FileServer, weights: bytes) -> Commands:
    """Over four connections."""
    server.files = {"/model.gguf": weights}
    commands.environment["RUNNERD_PULL_CONNECTIONS"] = str(CONNECTIONS)
    return commands


def _ranges(server: FileServer) -> list[str]:
    return [one.headers["range"] for one in server.requests if "range" in one.headers]


async def test_all_bytes_come_once(server: FileServer, commands: Commands) -> None:
    """Several ranges at once, none of them twice, and the whole is what it should be."""
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    assert len(_ranges(server)) >= CONNECTIONS
    assert len(set(_ranges(server))) == len(_ranges(server))
    assert server.sent == ended.outcome.downloaded_bytes == SIZE


async def test_one_connection_is_one_request(server: FileServer, commands: Commands) -> None:
    """Who wants the server spared gets the file in one piece."""
    commands.environment["RUNNERD_PULL_CONNECTIONS"] = "1"
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    assert (await commands.pull(expected=artifact)).code == 0
    assert len(server.requests) == 1


async def test_kills_at_random_moments(server: FileServer, commands: Commands) -> None:
    """What a killed pull had noted is not asked for again; the whole is right in the end."""
    chance = random.Random(11)
    artifact = (await commands.resolve()).outcome.artifact
    noted: list[list[int]] = []
    for _ in range(2):
        # More than a piece, which is noted; and so little that two of them leave some to be parted.
        most = PIECE + 5 * MIB
        async with _another(server, commands) as slow:
            slow.always, slow.most = Fault(pace=40 * MIB), most
            running = await commands.start("pull", expected=artifact)
            await _noted_more(slow, commands, _total(noted), chance.randint(PIECE, most))
            running.process.kill()
            await running.process.wait()
            _asked_for_none_of(slow, noted)
        noted = _noted(commands)
    async with _another(server, commands) as fast:
        ended = await commands.pull(expected=artifact)
        _asked_for_none_of(fast, noted)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    assert ended.outcome.downloaded_bytes == fast.sent == SIZE - _total(noted)


@asynccontextmanager
async def _another(server: FileServer, commands: Commands) -> AsyncIterator[FileServer]:
    """Another server for the same file: what a pull that was ended asked for last never comes there."""
    async with FileServer(server.files).running() as running:
        commands.url = running.url()
        yield running


def _noted(commands: Commands) -> list[list[int]]:
    """First byte and end of what a pull has noted."""
    state = commands.partial.with_name(".model.gguf.state.json")
    found: list[list[int]] = json.loads(state.read_text()).get("held", []) if state.exists() else []
    return found


def _total(spans: list[list[int]]) -> int:
    return sum(stop - start for start, stop in spans)


async def _noted_more(server: FileServer, commands: Commands, than: int, given: int) -> None:
    await until(lambda: server.given >= given and _total(_noted(commands)) > than)


def _asked_for_none_of(server: FileServer, noted: list[list[int]]) -> None:
    for one in _ranges(server):
        first, last = map(int, one.removeprefix("bytes=").split("-"))
        assert all(last < start or first >= stop for start, stop in noted), (one, noted)


async def _held_after(
    server: FileServer, commands: Commands, artifact: Artifact | None, count: int
) -> Running:
    """A pull at a server that falls silent after so many bytes, once it has got them all."""
    server.given, server.most = 0, count
    running = await commands.start("pull", expected=artifact)
    await running.counted(count)
    return running


async def test_broken_connections_resume_where_they_ended(
    server: FileServer, commands: Commands
) -> None:
    """A part that breaks off goes on from its last byte; the others do not notice."""
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    server.faults.extend([Fault(cut_after=MIB), Fault(status=503), Fault(cut_after=3 * MIB)])
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    assert server.sent < SIZE + MIB


async def test_a_server_without_ranges(server: FileServer, commands: Commands) -> None:
    """What cannot come in parts comes in one piece."""
    artifact = (await commands.resolve()).outcome.artifact
    server.ranges = False
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)


async def test_a_file_that_changes_is_not_spliced(server: FileServer, commands: Commands) -> None:
    """Parts of two versions never meet in one file."""
    artifact = (await commands.resolve()).outcome.artifact
    other = model(SIZE, seed=2)

    def change() -> None:
        server.files["/model.gguf"] = other

    server.faults.extend([Fault(), Fault(cut_after=MIB), Fault(before=change)])
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE, seed=2)


async def test_parts_of_before_a_crash_of_the_machine(
    server: FileServer, commands: Commands
) -> None:
    """What may never have reached the disk is fetched again, though it was noted."""
    artifact = (await commands.resolve()).outcome.artifact
    running = await _held_after(server, commands, artifact, 60 * MIB)
    running.process.kill()
    await running.process.wait()
    assert _noted(commands)
    state = commands.partial.with_name(".model.gguf.state.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"boot": "another"}))
    commands.partial.write_bytes(bytes(commands.partial.stat().st_size))
    server.most = None
    assert (await commands.pull(expected=artifact)).code == 0
    assert_cached(commands, SIZE)


async def test_a_pull_that_is_asked_to_stop_loses_nothing(
    server: FileServer, commands: Commands
) -> None:
    """SIGTERM: what came is on the disk and noted, whatever happens to the machine."""
    artifact = (await commands.resolve()).outcome.artifact
    running = await _held_after(server, commands, artifact, 40 * MIB)
    running.process.terminate()
    await running.process.wait()
    noted = json.loads(commands.partial.with_name(".model.gguf.state.json").read_text())
    assert noted["boot"] == ""
    async with _another(server, commands) as fast:
        assert (await commands.pull(expected=artifact)).code == 0
    assert fast.sent == SIZE - 40 * MIB == SIZE - _total(noted["held"])
    assert_cached(commands, SIZE)


@pytest.mark.parametrize("connections", ["1", "4"])
async def test_what_is_behind_a_hole_is_kept(
    server: FileServer, commands: Commands, weights: bytes, connections: str
) -> None:
    """However little is missing, and over how many connections: no byte that is there comes again."""
    artifact = (await commands.resolve()).outcome.artifact
    running = await _held_after(server, commands, artifact, 40 * MIB)
    running.process.terminate()
    await running.process.wait()
    state = commands.partial.with_name(".model.gguf.state.json")
    held = [[0, MIB], [6 * MIB, 60 * MIB], [61 * MIB, SIZE]]
    state.write_text(json.dumps(json.loads(state.read_text()) | {"held": held}))
    holes = bytes(5 * MIB), bytes(MIB)
    there = [weights[start:stop] for start, stop in held]
    commands.partial.write_bytes(there[0] + holes[0] + there[1] + holes[1] + there[2])
    commands.environment["RUNNERD_PULL_CONNECTIONS"] = connections
    async with _another(server, commands) as fast:
        ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    assert fast.sent == ended.outcome.downloaded_bytes == SIZE - _total(held)


async def test_a_bound_on_the_bandwidth(server: FileServer, commands: Commands) -> None:
    """All connections together keep to it: it takes as long as it has to."""
    commands.environment["RUNNERD_PULL_BANDWIDTH"] = "30Mi"
    artifact = (await commands.resolve()).outcome.artifact
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    # Nobody waits for the last hundredths of a second.
    assert ended.outcome.seconds > SIZE / (30 * MIB) - 0.1


async def test_a_bound_on_the_time(server: FileServer, commands: Commands) -> None:
    """A pull that takes too long says so, and the next one goes on where it ended."""
    # Each of the connections: in that time not all of it comes.
    server.always = Fault(pace=MIB)
    artifact = (await commands.resolve()).outcome.artifact
    commands.environment["RUNNERD_PULL_TIMEOUT"] = "6s"
    ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.retryable) == (1, True)
    assert "did not end within 6s (RUNNERD_PULL_TIMEOUT)" in ended.outcome.message
    server.always = Fault()
    del commands.environment["RUNNERD_PULL_TIMEOUT"]
    again = await commands.pull(expected=artifact)
    assert again.code == 0, again.outcome.message
    assert again.outcome.downloaded_bytes <= SIZE - ended.outcome.downloaded_bytes
    assert_cached(commands, SIZE)
