"""`runnerd verify`: damage is found, set apart and mended without fetching what is good."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.integration.weights.commands import PATIENCE, Commands
from tests.integration.weights.conftest import SIZE
from tests.integration.weights.oci_commands import serve
from tests.support.file_server import FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import GGUF, OciFiles

PARTS = [model(SIZE, {**MODEL, "split.no": i, "split.count": 3}, seed=i) for i in range(3)]
NAMES = [f"model-0000{i}-of-00003.gguf" for i in (1, 2, 3)]


@pytest.fixture
async def cached(server: FileServer, commands: Commands) -> Commands:
    """A model of three files in the cache."""
    serve(server, commands, OciFiles([(GGUF, part, "") for part in PARTS]))
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    server.requests.clear()
    return commands


async def _verify(root: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runnerd", "verify", "--root", str(root), *arguments),
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, log = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, answer.decode(), log.decode()


def _spoil(path: Path) -> None:
    """One bit is another: as long as before."""
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        byte = file.read(1)[0]
        file.seek(SIZE // 2)
        file.write(bytes([byte ^ 1]))


async def test_a_sound_cache(cached: Commands) -> None:
    """Each artifact is told with its size."""
    code, answer, _ = await _verify(cached.root)
    assert (code, answer) == (0, f"{cached.key}: sound, 12.04 MiB\n")


async def test_damage_is_told(cached: Commands) -> None:
    """What is wrong with which file; nothing is touched without being asked."""
    _spoil(cached.folder / NAMES[1])
    (cached.folder / NAMES[2]).unlink()
    code, answer, _ = await _verify(cached.root)
    first, second = answer.splitlines()
    assert code == 1
    assert first.startswith(f"{cached.key}/{NAMES[1]}: damaged: its sha256 is ")
    assert second == f"{cached.key}/{NAMES[2]}: damaged: it is missing"
    assert (cached.folder / NAMES[1]).exists()
    code, answer, _ = await _verify(cached.root, "--json", cached.key)
    assert [json.loads(line)["file"] for line in answer.splitlines()] == NAMES[1:]


async def test_a_damaged_file_alone_is_fetched_again(server: FileServer, cached: Commands) -> None:
    """It is set apart; the next pull fetches that file, keeps the others and is whole again."""
    _spoil(cached.folder / NAMES[1])
    code, _, _ = await _verify(cached.root, "--quarantine")
    assert code == 1
    quarantine = cached.root / f"{cached.key}.quarantine"
    assert [path.name for path in quarantine.iterdir()] == [NAMES[1]]
    ended = await cached.pull()
    assert ended.code == 0, ended.outcome.message
    assert ended.outcome.downloaded_bytes == SIZE
    assert [(cached.folder / name).read_bytes() for name in NAMES] == PARTS
    assert not quarantine.exists()
    assert (await _verify(cached.root))[0] == 0


async def test_a_file_that_lost_bytes_costs_itself_alone(
    server: FileServer, cached: Commands
) -> None:
    """A cache that is visibly not whole is mended by the next pull, unasked."""
    with (cached.folder / NAMES[0]).open("r+b") as file:
        file.truncate(1000)
    _spoil(cached.folder / NAMES[2])
    ended = await cached.pull()
    assert ended.code == 0, ended.outcome.message
    assert ended.outcome.downloaded_bytes == 2 * SIZE
    assert [(cached.folder / name).read_bytes() for name in NAMES] == PARTS


async def test_a_cache_that_holds_nothing_is_told(tmp_path: Path) -> None:
    """Silence would be taken for soundness: an empty cache is named, a missing one is an error."""
    code, _, log = await _verify(tmp_path)
    assert (code, "holds no artifacts" in log) == (0, True)
    code, _, log = await _verify(tmp_path / "none")
    assert (code, "there is no folder" in log) == (2, True)


async def test_what_cannot_be_verified(cached: Commands, tmp_path: Path) -> None:
    """A name that is not there, a manifest that cannot be read."""
    code, _, log = await _verify(cached.root, "ffffffffffffffff")
    assert code == 2
    assert "holds no artifact ffffffffffffffff" in log
    (cached.folder / "manifest.json").write_text("{")
    code, answer, _ = await _verify(cached.root)
    assert code == 1
    assert "its manifest cannot be read" in answer
