"""`runnerd pull SOURCE`: by hand, on a terminal and for programs."""

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelrunner_protocol.sources import artifact_key, parse_source
from tests.integration.weights.commands import until
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model
from tests.support.hub import Hub

NOTHING: dict[str, str] = {}


async def _start(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] = NOTHING,
    terminal: int = asyncio.subprocess.PIPE,
) -> asyncio.subprocess.Process:
    inherited = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runnerd", "pull", *arguments, "--root", str(root)),
        env=inherited | dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=terminal,
    )


async def _run(
    root: Path, *arguments: str, environment: Mapping[str, str] = NOTHING
) -> tuple[int, str, str]:
    process = await _start(root, *arguments, environment=environment)
    answer, log = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode is not None
    return process.returncode, answer.decode(), log.decode()


async def test_a_file(server: FileServer, tmp_path: Path) -> None:
    """The answer says what it is, how much came and where it lies; again, nothing comes."""
    url = server.url()
    code, answer, _ = await _run(tmp_path / "new", url)
    folder = tmp_path / "new" / artifact_key(parse_source(url))
    assert code == 0
    begin = f"{url}: llama 1.05 M Q4_1, 4.01 MiB (4.01 MiB came in "
    assert answer.startswith(begin), answer
    assert re.fullmatch(r"\d+s, [\d.]+ [KMG]iB/s\)", answer[len(begin) :].partition("\n")[0])
    assert answer.endswith(f"\n  {folder}/model.gguf\n")
    assert (folder / "model.gguf").read_bytes() == model(SIZE)
    code, answer, _ = await _run(tmp_path / "new", url)
    assert (code, "(it was there already)" in answer) == (0, True)


async def test_the_hub_in_one_word(server: FileServer, tmp_path: Path) -> None:
    """A repository with a quantization, as people copy it from its page."""
    async with Hub(server).running() as hub:
        hub.put("Acme/Tiny-GGUF", {"tiny-Q8_0.gguf": model(SIZE), "tiny-Q4_K_M.gguf": b""})
        code, answer, log = await _run(
            tmp_path, "hf.co/Acme/Tiny-GGUF:Q8_0", "--json", environment={"HF_ENDPOINT": hub.url}
        )
    assert code == 0, log
    lines = [json.loads(line) for line in answer.splitlines()]
    assert lines[-1]["source"] == "hf.co/Acme/Tiny-GGUF:Q8_0"
    assert lines[-1]["downloadedBytes"] == SIZE
    assert lines[-2] == {
        "phase": "done",
        "completedBytes": SIZE,
        "totalBytes": SIZE,
        "resumedBytes": 0,
    }


async def test_a_bar_on_a_terminal(server: FileServer, tmp_path: Path) -> None:
    """Percent, speed and time left while it comes."""
    # The header comes at once, and the rest so slowly that it cannot end before somebody has looked.
    server.faults.append(Fault())
    server.always = Fault(pace=16 * 1024)
    ours, theirs = pty.openpty()
    process = await _start(tmp_path, server.url(), terminal=theirs)
    os.close(theirs)
    seen = bytearray()
    os.set_blocking(ours, False)

    def drawn() -> bool:
        try:
            seen.extend(os.read(ours, 4096))
        except BlockingIOError:
            return False
        return re.search(rb"\] downloading .* [\d.]+ [KM]iB/s .* left", seen) is not None

    await until(drawn)
    process.kill()
    await process.wait()
    os.close(ours)
    assert b"[" in seen


async def test_stopped_by_hand(server: FileServer, tmp_path: Path) -> None:
    """Control-C keeps what came, and says that the same command goes on."""
    server.always = Fault(hang_after=2 * MIB)
    process = await _start(tmp_path, server.url())
    partial = tmp_path / f"{artifact_key(parse_source(server.url()))}.partial" / "model.gguf"
    await until(lambda: partial.exists() and partial.stat().st_size >= MIB)
    process.send_signal(signal.SIGINT)
    _, log = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == 130
    assert "the same command goes on" in log.decode()
    server.always = Fault()
    assert (await _run(tmp_path, server.url()))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("a b",), 2, "is no reference"),
        (("http://127.0.0.1:1/m.gguf",), 1, "does not answer"),
        (("http://127.0.0.1:1/m.gguf", "--json"), 1, "does not answer"),
    ],
)
async def test_what_cannot_be_pulled(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    """One sentence, no stack."""
    found, answer, log = await _run(
        tmp_path, *arguments, environment={"RUNNERD_RESOLVE_TIMEOUT": "2s"}
    )
    assert found == code
    assert says in (answer if "--json" in arguments else log)
    assert "Traceback" not in log
