"""`runnerd pull` when all goes well, is interrupted, or has company."""

import asyncio
import hashlib
import random
import signal
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import PullPhase
from tests.integration.weights.commands import PATIENCE, Commands, assert_cached
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model


async def test_pull_publishes_the_artifact(server: FileServer, commands: Commands) -> None:
    """The file, its sha256, its ETag and its metadata are in the cache and in the outcome."""
    ended = await commands.pull()
    assert (ended.code, ended.outcome.reason, ended.outcome.downloaded_bytes) == (0, None, SIZE)
    artifact = ended.outcome.artifact
    assert artifact is not None
    digest = hashlib.sha256(server.files["/model.gguf"]).hexdigest()
    assert (artifact.digest, artifact.files[0].sha256) == (f"sha256:{digest}", digest)
    assert (artifact.architecture, artifact.quantization, artifact.context_size) == (
        "llama",
        "Q4_1",
        2048,
    )
    assert artifact.etag.startswith('"')
    assert_cached(commands, SIZE)


async def test_whole_cache_needs_no_byte(server: FileServer, commands: Commands) -> None:
    """A second pull of an equal source asks the server nothing and tells the same artifact."""
    first = await commands.pull()
    server.requests.clear()
    second = await commands.pull()
    assert second.outcome.artifact == first.outcome.artifact
    assert (second.code, second.outcome.downloaded_bytes, server.requests) == (0, 0, [])


async def test_damaged_cache_is_pulled_again(server: FileServer, commands: Commands) -> None:
    """A published folder whose file lost bytes is replaced by a whole one."""
    await commands.pull()
    with (commands.folder / "model.gguf").open("r+b") as file:
        file.truncate(1000)
    assert (await commands.pull()).code == 0
    assert_cached(commands, SIZE)


async def test_given_sha256_is_checked(server: FileServer, commands: Commands) -> None:
    """The right digest passes."""
    commands.sha256 = hashlib.sha256(server.files["/model.gguf"]).hexdigest()
    assert (await commands.pull()).code == 0
    assert_cached(commands, SIZE)


@pytest.mark.parametrize("offset", [1, 65_537, MIB, 3 * MIB + 7, SIZE - 1])
async def test_kill_and_resume(offset: int, server: FileServer, commands: Commands) -> None:
    """After kill -9 at any byte the rest is fetched, and no byte twice."""
    server.faults.append(Fault(hang_after=offset))
    running = await commands.start("pull", expected=SIZE)
    await commands.held(offset)
    running.process.kill()
    await running.process.wait()
    assert not commands.folder.exists()
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - offset)
    assert server.requests[-1].headers["range"] == f"bytes={offset}-"
    assert server.sent == SIZE
    assert_cached(commands, SIZE)


async def test_many_kills_at_random_moments(server: FileServer, commands: Commands) -> None:
    """Kills at moments nobody chose leave a cache that ends whole; what was there is kept."""
    chance = random.Random(7)
    # So slow that it does not end meanwhile, however long a kill is in coming.
    server.always = Fault(pace=64 * 1024)
    held = []
    for _ in range(6):
        running = await commands.start("pull", expected=SIZE)
        await commands.grown(pause=chance.random() * 0.05)
        running.process.kill()
        await running.process.wait()
        held.append(commands.held_size())
    server.always = Fault()
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - held[-1])
    assert_cached(commands, SIZE)
    asked = [one.headers.get("range") for one in server.requests]
    assert asked == [None, *(f"bytes={size}-" for size in held)]


async def test_kill_while_publishing_leaves_nothing_half(
    server: FileServer, commands: Commands
) -> None:
    """A complete partial file that was never published is published without a byte."""
    server.faults.append(Fault(hang_after=SIZE - 1))
    running = await commands.start("pull", expected=SIZE)
    await commands.held(SIZE - 1)
    running.process.kill()
    await running.process.wait()
    with commands.partial.open("ab") as file:
        file.write(server.files["/model.gguf"][-1:])
    server.requests.clear()
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes, server.requests) == (0, 0, [])
    assert_cached(commands, SIZE)


async def test_two_pulls_download_once(server: FileServer, commands: Commands) -> None:
    """A second pull waits, says so, and then finds the work done."""
    server.faults.append(Fault(hang_after=MIB))
    first = await commands.start("pull", expected=SIZE)
    await commands.held(MIB)
    second = await commands.start("pull", expected=SIZE)
    progress = await second.progress()
    assert progress.phase is PullPhase.WAITING
    async with asyncio.timeout(PATIENCE):
        while "another pull" not in progress.message:
            progress = await second.progress()
            await asyncio.sleep(0.02)
    server.release.set()
    ended = await asyncio.gather(first.ended(), second.ended())
    assert [e.code for e in ended] == [0, 0]
    assert sorted(e.outcome.downloaded_bytes for e in ended) == [0, SIZE]
    assert server.sent == SIZE
    assert_cached(commands, SIZE)


async def test_waiting_pull_takes_over_from_a_killed_one(
    server: FileServer, commands: Commands
) -> None:
    """The lock goes with its holder, and the second pull resumes where the first was."""
    server.faults.append(Fault(hang_after=MIB))
    first = await commands.start("pull", expected=SIZE)
    await commands.held(MIB)
    second = await commands.start("pull", expected=SIZE)
    await second.progress()
    first.process.kill()
    ended = await second.ended()
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - MIB)
    assert_cached(commands, SIZE)


async def test_terminated_pull_can_be_resumed(server: FileServer, commands: Commands) -> None:
    """SIGTERM ends the pull at once, says that it may be retried, and keeps what came."""
    server.faults.append(Fault(hang_after=2 * MIB))
    running = await commands.start("pull", expected=SIZE)
    await commands.held(2 * MIB)
    running.process.send_signal(signal.SIGTERM)
    ended = await running.ended()
    assert (ended.code, ended.outcome.reason) == (143, Reason.PULL_FAILED)
    assert ended.outcome.retryable
    assert "Traceback" not in ended.log
    assert (await commands.pull(expected=SIZE)).outcome.downloaded_bytes == SIZE - 2 * MIB


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _value(metrics: str, name: str) -> float:
    return float(metrics.partition(f'\n{name}{{source="http"}} ')[2].split()[0])


async def test_progress_is_served(server: FileServer, commands: Commands) -> None:
    """While it runs, a pull tells the operator and Prometheus how far it is."""
    server.faults.append(Fault(hang_after=MIB))
    running = await commands.start("pull", expected=SIZE)
    await commands.held(MIB)
    # The file has grown a moment before it is counted.
    progress = await running.counted(MIB)
    assert (progress.phase, progress.completed_bytes, progress.total_bytes) == (
        PullPhase.DOWNLOADING,
        MIB,
        SIZE,
    )
    assert (await running.get("/healthz")).status_code == 200
    metrics = (await running.get("/metrics")).text
    assert _value(metrics, "modelrunner_pull_downloaded_bytes_total") == MIB
    assert _value(metrics, "modelrunner_pull_size_bytes") == SIZE
    assert _value(metrics, "modelrunner_pull_repeated_attempts_total") == 0
    assert (await running.get("/elsewhere")).status_code == 404
    server.release.set()
    assert (await running.ended()).code == 0


async def test_changed_file_is_not_spliced(server: FileServer, commands: Commands) -> None:
    """When the file behind the URL changed between two pulls, all of the new one is fetched."""
    server.faults.append(Fault(hang_after=2 * MIB))
    running = await commands.start("pull", expected=SIZE)
    await commands.held(2 * MIB)
    running.process.kill()
    await running.process.wait()
    server.files["/model.gguf"] = model(SIZE, seed=2)
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE)
    assert server.requests[-1].headers["if-range"].startswith('"')
    assert_cached(commands, SIZE, seed=2)


async def test_partial_of_another_size_is_dropped(server: FileServer, commands: Commands) -> None:
    """Leftovers that are longer than the file, or of unknown origin, are not built upon."""
    commands.partial.parent.mkdir()
    commands.partial.write_bytes(b"x" * (SIZE + 5))
    ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE)
    assert_cached(commands, SIZE)


async def test_memory_stays_small(server: FileServer, commands: Commands) -> None:
    """A pull of 128 MiB needs less than 100 MiB of memory."""
    size = 128 * MIB
    head = model(SIZE)
    server.files["/model.gguf"] = head + bytes(size - SIZE)
    server.faults.append(Fault(hang_after=size - 1))
    running = await commands.start("pull", expected=size)
    await commands.held(size - 1)
    peak = _peak_memory(running.process.pid)
    print(f"peak memory {peak / MIB:.1f} MiB")
    assert peak < 100 * MIB
    server.release.set()
    assert (await running.ended()).code == 0
