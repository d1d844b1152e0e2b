"""What a server does wrong in the middle of a pull: nothing comes twice, and all is told.

Other faults, of one kind of source each: `test_pull_faults`, `test_oci`, `test_resolve`.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.integration.weights.commands import PATIENCE, Commands, Ended, assert_cached
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import serve
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model
from tests.support.oci_files import GGUF, OciFiles

CUT = Fault(cut_after=MIB)


@pytest.fixture(params=["http", "oci"])
async def source(request: pytest.FixtureRequest, server: FileServer, commands: Commands) -> None:
    """The same weights behind a URL and in a registry."""
    if request.param == "oci":
        serve(server, commands, OciFiles([(GGUF, model(SIZE), "")]))


# Faults, how often the pull tries again, what the log says of it.
MIDDLE: dict[str, tuple[list[Fault], int, str]] = {
    "429, a number": (
        [CUT, Fault(status=429, headers={"Retry-After": "1"})],
        2,
        "answered 429; trying again in 1.0 s",
    ),
    "500": ([CUT, Fault(status=500)], 2, "answered 500; trying again in"),
    "503, twice": ([CUT, Fault(status=503), Fault(status=503)], 3, "answered 503"),
    "short bodies": ([CUT, Fault(cut_after=MIB)], 2, "trying again in"),
    "a range from elsewhere": ([CUT, Fault(shift=5)], 2, "when asked for"),
}


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(("faults", "retries", "says"), MIDDLE.values(), ids=MIDDLE)
async def test_faults_in_the_middle(
    faults: list[Fault], retries: int, says: str, server: FileServer, commands: Commands
) -> None:
    """The pull goes on at the byte where it was, and its outcome counts the attempts."""
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    server.faults.extend(faults)
    ended = await commands.pull(expected=artifact)
    _whole(commands, ended, says)
    assert ended.outcome.retries == retries
    # What a range from elsewhere sends is not taken.
    assert sum(one.sent for one in server.requests if one.status in {200, 206}) >= SIZE


def _whole(commands: Commands, ended: Ended, says: str) -> None:
    assert ended.code == 0, ended.outcome.message
    assert_cached(commands, SIZE)
    assert ended.outcome.downloaded_bytes == SIZE
    assert ended.outcome.seconds > 0
    assert says in ended.log


@pytest.mark.usefixtures("source")
async def test_a_silence_in_the_middle(server: FileServer, commands: Commands) -> None:
    """The pull goes on at the byte where it was, and its outcome counts the attempts."""
    artifact = (await commands.resolve()).outcome.artifact
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = "500ms"
    # No request brings all: on a busy machine the first one may be given up before its answer.
    server.always = Fault(hang_after=3 * MIB)
    ended = await commands.pull(expected=artifact)
    _whole(commands, ended, "broke off (timed out); trying again in")
    assert ended.outcome.retries >= 1


@pytest.mark.usefixtures("source")
async def test_a_date_to_come_back_at(server: FileServer, commands: Commands) -> None:
    """Retry-After may be a date: nobody asks before it."""
    artifact = (await commands.resolve()).outcome.artifact
    headers: dict[str, str | None] = {}
    told: list[datetime] = []
    came: list[datetime] = []

    def refuse() -> None:
        # A date has no parts of a second; the pull's own back-off is half a second at most.
        told.append((datetime.now(tz=UTC) + timedelta(seconds=3)).replace(microsecond=0))
        headers["Retry-After"] = format_datetime(told[0], usegmt=True)

    busy = Fault(status=429, headers=headers, before=refuse)
    again = Fault(before=lambda: came.append(datetime.now(tz=UTC)))
    server.faults.extend([CUT, busy, again])
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert ended.log.count("answered 429; trying again in ") == 1
    assert came >= told
    assert_cached(commands, SIZE)


@pytest.mark.usefixtures("source")
async def test_what_a_failed_pull_took(server: FileServer, commands: Commands) -> None:
    """Bytes, attempts and seconds are told of a pull that is given up, too; so the next is short."""
    commands.environment["RUNNERD_PULL_GIVE_UP_AFTER"] = "4s"
    artifact = (await commands.resolve()).outcome.artifact
    server.faults.append(CUT)
    server.always = Fault(status=503)
    ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.retryable) == (1, True)
    assert ended.outcome.downloaded_bytes == MIB
    assert ended.outcome.retries >= 1
    assert ended.outcome.seconds > 0.2
    server.always = Fault()
    again = await commands.pull(expected=artifact)
    assert (again.code, again.outcome.downloaded_bytes) == (0, SIZE - MIB)
    assert again.outcome.retries == 0


@pytest.mark.usefixtures("source")
async def test_a_silence_is_told_while_it_lasts(server: FileServer, commands: Commands) -> None:
    """Whoever asks learns how long nothing came, why, and what had been there."""
    artifact = (await commands.resolve()).outcome.artifact
    server.faults.append(CUT)
    server.always = Fault(status=503)
    running = await commands.start("pull", expected=artifact)
    async with asyncio.timeout(PATIENCE):
        progress = await running.progress()
        while (progress.idle_seconds or 0.0) < 0.3 or not progress.message:
            progress = await running.progress()
    assert progress.message.endswith("; trying again")
    assert progress.completed_bytes in {0, MIB}
    running.process.kill()
    await running.process.wait()
    server.always = Fault()
    server.faults.append(Fault(hang_after=random.Random(5).randint(1, MIB)))
    running = await commands.start("pull", expected=artifact)
    progress = await running.counted(MIB + 1)
    assert progress.resumed_bytes == MIB
    server.release.set()
    assert (await running.ended()).code == 0


RESOLVE: dict[str, Fault] = {
    "500": Fault(status=500),
    "silence": Fault(hang_after=10),
    "a short body": Fault(cut_after=10),
}


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("fault", RESOLVE.values(), ids=RESOLVE)
async def test_faults_while_it_is_resolved(
    fault: Fault, server: FileServer, commands: Commands
) -> None:
    """The first answer is no answer: it is asked again."""
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = "500ms"
    server.faults.append(fault)
    ended = await commands.resolve()
    assert ended.code == 0, ended.outcome.message
    assert "trying again in" in ended.log
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.size_bytes == SIZE
