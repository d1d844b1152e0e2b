"""`runnerd pull` onto volumes that are full, read-only or not ours.

The volumes are small memory file systems in a mount namespace of their own.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from modelrunner_protocol.reasons import Reason
from tests.integration.weights.commands import Commands, Ended, until
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.memory_volume import memory_volume


@asynccontextmanager
async def _mounted(commands: Commands, options: str) -> AsyncIterator[Path]:
    """Mount a volume where the commands' cache is; the path under which the test sees it."""
    async with memory_volume(commands.root, options) as volume:
        commands.prefix = volume.prefix
        yield volume.path


def _failed(ended: Ended, says: str) -> None:
    assert ended.code == 1
    full = "need 4.01 MiB" in says or "too full" in says
    assert ended.outcome.reason is (Reason.CACHE_TOO_SMALL if full else Reason.PULL_FAILED)
    assert not ended.outcome.retryable
    assert says in ended.outcome.message
    assert "Traceback" not in ended.log


async def _killed_in_the_middle(server: FileServer, commands: Commands, volume: Path) -> Path:
    """A pull that was killed after 2 MiB; its partial file."""
    server.faults.append(Fault(hang_after=2 * MIB))
    running = await commands.start("pull", expected=SIZE)
    partial = volume / "0123456789abcdef.partial" / "model.gguf"
    await until(lambda: partial.exists() and partial.stat().st_size == 2 * MIB)
    running.process.kill()
    await running.process.wait()
    return partial


async def test_volume_that_is_too_small(server: FileServer, commands: Commands) -> None:
    """Weights that can never fit are refused with both sizes, before a byte is fetched."""
    async with _mounted(commands, "size=3m") as volume:
        ended = await commands.pull(expected=SIZE)
        _failed(ended, "need 4.01 MiB, 3.00 MiB of 3.00 MiB are free")
        # One more MiB is room for what is not weights; the lock has its block already.
        assert 0 <= ended.outcome.missing_bytes - (SIZE + MIB - 3 * MIB) <= 64 * 1024
        assert server.sent == 0
        assert [p.name for p in volume.iterdir()] == ["0123456789abcdef.lock"]


async def test_volume_that_others_filled(server: FileServer, commands: Commands) -> None:
    """A partial file that may fit one day stays, and is completed when there is space again."""
    async with _mounted(commands, "size=8m") as volume:
        partial = await _killed_in_the_middle(server, commands, volume)
        (volume / "other").write_bytes(bytes(5 * MIB))
        _failed(await commands.pull(expected=SIZE), "is too full")
        assert partial.stat().st_size == 2 * MIB
        (volume / "other").unlink()
        ended = await commands.pull(expected=SIZE)
        assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - 2 * MIB)


async def test_volume_that_fills_up_meanwhile(server: FileServer, commands: Commands) -> None:
    """No space left in the middle: told with numbers, and our bytes are not what keeps it full."""
    async with _mounted(commands, "size=8m") as volume:
        server.faults.append(Fault(hang_after=2 * MIB))
        running = await commands.start("pull", expected=SIZE)
        partial = volume / "0123456789abcdef.partial" / "model.gguf"
        await until(lambda: partial.exists() and partial.stat().st_size == 2 * MIB)
        (volume / "other").write_bytes(bytes(5 * MIB))
        server.release.set()
        ended = await running.ended()
        _failed(ended, "the weights need 4.01 MiB")
        assert sorted(p.name for p in volume.iterdir()) == ["0123456789abcdef.lock", "other"]
        # So much more room, and it fits: what others hold, the weights, and a bit beside them.
        assert 0 <= ended.outcome.missing_bytes - (5 * MIB + SIZE + MIB - 8 * MIB) <= 64 * 1024


async def test_volume_that_has_no_room_for_the_manifest(
    server: FileServer, commands: Commands
) -> None:
    """Full when all bytes are there: nothing is published, and there is room for the next try."""
    # What is noted beside a partial file goes before the manifest comes, and leaves it a page.
    path = f"/{'long/' * 2000}model.gguf"
    server.files[path] = server.files["/model.gguf"]
    commands.url = server.url(path)
    async with _mounted(commands, "size=8m") as volume:
        server.faults.append(Fault(hang_after=SIZE - 1))
        running = await commands.start("pull", expected=SIZE)
        partial = volume / "0123456789abcdef.partial" / "model.gguf"
        await until(lambda: partial.exists() and partial.stat().st_size == SIZE - 1)
        other = volume / "other"
        with other.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        server.release.set()
        _failed(await running.ended(), "the weights need 4.01 MiB, 4.00 KiB of 8.00 MiB are free")
        assert not (volume / "0123456789abcdef").exists()
        assert not partial.exists()
        other.unlink()
        assert (await commands.pull(expected=SIZE)).code == 0
        assert (volume / "0123456789abcdef" / "manifest.json").exists()


async def test_read_only_volume(server: FileServer, commands: Commands) -> None:
    """A volume that is mounted read-only is told as such."""
    async with _mounted(commands, "ro,size=8m"):
        _failed(await commands.pull(expected=SIZE), "mounted read-only, and 4.01 MiB")
        assert server.sent == 0


async def test_volume_that_becomes_read_only(server: FileServer, commands: Commands) -> None:
    """Told with what is there; nothing is published, and the pull goes on when it can be written.

    A kernel that is asked politely lets nobody turn a volume that is being written, so the pull is
    killed first; one that turns by itself is in the unit tests, `test_volume_errors`.
    """
    async with _mounted(commands, "size=8m") as volume:
        await _killed_in_the_middle(server, commands, volume)
        await _remount(commands, "ro")
        server.requests.clear()
        ended = await commands.pull(expected=SIZE)
        assert (ended.code, ended.outcome.retryable) == (1, True)
        assert ended.outcome.reason is Reason.PULL_FAILED
        told = f"the volume at {commands.root} has become read-only, with 2.0"
        assert ended.outcome.message.startswith(told)
        assert "Traceback" not in ended.log
        assert server.requests == []
        assert not (volume / "0123456789abcdef").exists()
        await _remount(commands, "rw")
        ended = await commands.pull(expected=SIZE)
        assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - 2 * MIB)


async def _remount(commands: Commands, how: str) -> None:
    mount = ("mount", "-o", f"remount,{how}", str(commands.root))
    process = await asyncio.create_subprocess_exec(*commands.prefix, *mount)
    assert await process.wait() == 0


async def test_volume_without_inodes(server: FileServer, commands: Commands) -> None:
    """A volume that takes no more files is full as well."""
    async with _mounted(commands, "size=8m,nr_inodes=2"):
        _failed(await commands.pull(expected=SIZE), "is too full")


async def test_missing_volume(commands: Commands) -> None:
    """A root that is not there is a failure in words."""
    commands.root.rmdir()
    _failed(await commands.pull(expected=SIZE), "No such file or directory")


async def test_forbidden_volume(server: FileServer, commands: Commands) -> None:
    """A volume that we may not write is told with the user that we are and what to set."""
    # Without the capability, even root has to keep to the mode of a folder.
    commands.prefix = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", "--")
    commands.root.chmod(0o555)
    _failed(await commands.pull(expected=SIZE), f"user {os.geteuid()} may not write")
    assert server.sent == 0
