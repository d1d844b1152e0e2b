"""`runnerd pull` against a server that goes wrong."""

import asyncio

import pytest

from modelrunner_protocol.reasons import Reason
from tests.integration.weights.commands import PATIENCE, Commands, Ended, assert_cached
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model


def _failed(ended: Ended, *, retryable: bool, says: str) -> None:
    assert ended.code == 1
    assert ended.outcome.reason is Reason.PULL_FAILED
    assert ended.outcome.retryable is retryable
    assert says in ended.outcome.message
    assert "Traceback" not in ended.log


def _nothing_left(commands: Commands) -> None:
    assert not commands.folder.exists()
    assert not commands.partial.parent.exists()


async def test_short_bodies_are_resumed(server: FileServer, commands: Commands) -> None:
    """Connections that break again and again cost no byte twice."""
    server.faults.extend(Fault(cut_after=MIB + 1000 * i) for i in range(3))
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE)
    assert server.sent == SIZE
    assert_cached(commands, SIZE)


async def test_silent_connection_is_made_anew(server: FileServer, commands: Commands) -> None:
    """A connection without a byte for the stall time is given up and resumed."""
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = "1s"
    # No request brings all: on a busy machine the first one may be given up before its answer.
    server.always = Fault(hang_after=3 * MIB)
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE)
    assert "broke off (timed out); trying again in" in ended.log
    assert_cached(commands, SIZE)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_overload_is_waited_for(status: int, server: FileServer, commands: Commands) -> None:
    """429 and 5xx are tried again, after the time the server asks for."""
    server.faults.append(Fault(status=status, headers={"Retry-After": "1"}))
    ended = await commands.pull(expected=SIZE)
    assert ended.code == 0
    assert f"the server answered {status}; trying again in 1.0 s" in ended.log
    assert_cached(commands, SIZE)


async def test_overload_without_end_may_be_retried_later(
    server: FileServer, commands: Commands
) -> None:
    """A server that stays ill ends the pull after the time without progress; what came is kept."""
    commands.environment["RUNNERD_PULL_GIVE_UP_AFTER"] = "4s"
    server.faults.append(Fault(cut_after=MIB))
    server.always = Fault(status=503)
    _failed(await commands.pull(expected=SIZE), retryable=True, says="the server answered 503")
    assert commands.partial.stat().st_size == MIB


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "there is no such file"), (403, "forbids"), (401, "credentials"), (410, "gone")],
)
async def test_refused_download(
    status: int, says: str, server: FileServer, commands: Commands
) -> None:
    """What only a change of the spec mends ends the pull at once."""
    server.always = Fault(status=status)
    _failed(await commands.pull(expected=SIZE), retryable=False, says=says)
    assert len(server.requests) == 1


async def test_wrong_sha256(server: FileServer, commands: Commands) -> None:
    """The wrong file is told with both digests, thrown away, and never published."""
    commands.sha256 = "ab" * 32
    ended = await commands.pull(expected=SIZE)
    _failed(ended, retryable=False, says=f"the Model says {'ab' * 32}")
    _nothing_left(commands)


async def test_endless_body(server: FileServer, commands: Commands) -> None:
    """A body that goes on behind the announced length is cut off there and thrown away."""
    server.always = Fault(headers={"Content-Length": None}, extra=500 * MIB)
    ended = await commands.pull(expected=SIZE)
    _failed(ended, retryable=False, says=f"sends more than the {SIZE} bytes")
    assert server.sent < SIZE + 50 * MIB
    _nothing_left(commands)


async def test_body_without_length_is_taken_when_the_length_is_known(
    server: FileServer, commands: Commands
) -> None:
    """A download without Content-Length works once `resolve` has learned the size."""
    server.always = Fault(headers={"Content-Length": None})
    assert (await commands.pull(expected=SIZE)).code == 0
    assert_cached(commands, SIZE)


async def test_announced_length_is_never_reached(server: FileServer, commands: Commands) -> None:
    """A server that promises more than it has does not keep a pull busy for ever."""
    commands.environment["RUNNERD_PULL_GIVE_UP_AFTER"] = "1s"
    server.ranges = False
    server.always = Fault(announce=SIZE + 1000)
    ended = await commands.pull(expected=SIZE + 1000)
    _failed(ended, retryable=True, says="broke off")
    assert len(server.requests) < 10


async def test_other_length_than_resolved(server: FileServer, commands: Commands) -> None:
    """A file that is not the resolved one is told with both sizes, before it is fetched."""
    ended = await commands.pull(expected=SIZE - 1)
    _failed(ended, retryable=True, says=f"had {SIZE - 1} bytes and now has {SIZE}")


async def test_server_without_ranges(server: FileServer, commands: Commands) -> None:
    """Without ranges a broken download starts over."""
    server.ranges = False
    server.faults.append(Fault(cut_after=MIB))
    assert (await commands.pull(expected=SIZE)).code == 0
    assert server.sent == SIZE + MIB
    assert_cached(commands, SIZE)


async def test_nothing_ties_two_halves_together(server: FileServer, commands: Commands) -> None:
    """Without ETag, date and sha256 two ranges might be of two files: it starts over."""
    server.tags = server.dates = False
    server.faults.append(Fault(cut_after=MIB))
    assert (await commands.pull(expected=SIZE)).code == 0
    assert server.sent == SIZE + MIB
    assert_cached(commands, SIZE)


async def test_date_ties_two_halves_together(server: FileServer, commands: Commands) -> None:
    """A modification date serves where there is no ETag."""
    server.tags = False
    server.faults.append(Fault(cut_after=MIB))
    assert (await commands.pull(expected=SIZE)).code == 0
    assert server.sent == SIZE


async def test_change_in_the_middle(server: FileServer, commands: Commands) -> None:
    """A file that changes while it is downloaded is fetched anew, by the same pull."""

    def change() -> None:
        server.files["/model.gguf"] = model(SIZE, seed=2)

    server.faults.extend([Fault(cut_after=MIB), Fault(before=change)])
    assert (await commands.pull(expected=SIZE)).code == 0
    assert_cached(commands, SIZE, seed=2)


async def test_range_of_another_version_is_not_appended(
    server: FileServer, commands: Commands
) -> None:
    """A server that ignores If-Range is found out by its ETag."""
    server.faults.extend([Fault(cut_after=MIB), Fault(headers={"ETag": '"other"'})])
    assert (await commands.pull(expected=SIZE)).code == 0
    assert server.requests[1].status == 206
    assert "range" not in server.requests[2].headers
    assert_cached(commands, SIZE)


async def test_range_from_elsewhere_is_not_appended(server: FileServer, commands: Commands) -> None:
    """A 206 that starts at another byte than asked for is asked for again."""
    server.faults.extend([Fault(cut_after=MIB), Fault(shift=5)])
    ended = await commands.pull(expected=SIZE)
    assert ended.code == 0
    assert f"sent bytes from {MIB + 5} when asked for {MIB}" in ended.log
    assert_cached(commands, SIZE)


async def test_refused_range_starts_over_once(server: FileServer, commands: Commands) -> None:
    """A 416 inside the file throws the partial file away, once."""
    server.faults.extend([Fault(cut_after=MIB), Fault(status=416)])
    assert (await commands.pull(expected=SIZE)).code == 0
    assert_cached(commands, SIZE)


async def test_refused_ranges_do_not_loop(server: FileServer, commands: Commands) -> None:
    """A server that refuses every range ends the pull."""
    server.always = Fault(status=416)
    _failed(await commands.pull(expected=SIZE), retryable=True, says="refuses ranges")
    assert len(server.requests) == 2


async def test_pulled_file_that_is_not_a_model(server: FileServer, commands: Commands) -> None:
    """A page in the place of the model never gets into the cache."""
    server.files["/model.gguf"] = b"<!DOCTYPE html>" + b" " * 5000
    ended = await commands.pull(expected=5015)
    assert ended.outcome.reason is Reason.UNSUPPORTED_FORMAT
    assert "looks like an HTML" in ended.outcome.message
    assert not commands.folder.exists()


async def test_taken_port_does_not_stop_a_pull(server: FileServer, commands: Commands) -> None:
    """Progress that cannot be served is no reason not to pull."""
    config = commands.config(SIZE)
    object.__setattr__(config, "port", server.port)
    # It begins to serve beside the first bytes: a short pull would be over before.
    server.faults.append(Fault(hang_after=MIB))
    running = await commands.start("pull", config=config)
    assert running.process.stderr
    async with asyncio.timeout(PATIENCE):
        while b"progress is not served" not in (line := await running.process.stderr.readline()):
            assert line
    server.release.set()
    assert (await running.ended()).code == 0
