"""The commands' edges: their configuration, their terminal, volumes in use, a real model."""

import asyncio
import filecmp
import os
import pty

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import ClaimSource, PullConfig, Source
from tests.integration.weights.commands import KEY, Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.engine import Engine
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model


@pytest.mark.parametrize("command", ["resolve", "pull"])
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RUNNERD_PULL": ""}, "not JSON"),
        ({"RUNNERD_PULL": '{"source":{}}'}, "key: missing"),
        ({"RUNNERD_PULL_STALL_TIMEOUT": "soon"}, "RUNNERD_PULL_STALL_TIMEOUT"),
    ],
)
async def test_configuration_that_cannot_be_read(
    command: str, variables: dict[str, str], says: str, commands: Commands
) -> None:
    """A wrong variable is an outcome like any other."""
    commands.environment |= variables
    ended = await (await commands.start(command)).ended()
    assert (ended.code, ended.outcome.reason) == (1, Reason.INVALID_CONFIGURATION)
    assert says in ended.outcome.message
    assert "Traceback" not in ended.log


async def test_key_that_is_a_path(commands: Commands) -> None:
    """A key cannot lead out of the cache."""
    commands.key = "../../elsewhere"
    ended = await commands.pull(expected=SIZE)
    assert ended.code == 1
    assert "not the key of an artifact" in ended.outcome.message


async def test_claim_is_resolved_in_place(commands: Commands) -> None:
    """A volume's file is described without being copied, and there is nothing to pull."""
    (commands.root / "m.gguf").write_bytes(model(SIZE))
    source = Source(claim=ClaimSource(claim="weights", path="m.gguf"))
    config = PullConfig(source=source, key=KEY, root=str(commands.root))
    resolved = await (await commands.start("resolve", config=config)).ended()
    assert resolved.code == 0
    assert resolved.outcome.artifact is not None
    assert resolved.outcome.artifact.size_bytes == SIZE
    pulled = await (await commands.start("pull", config=config)).ended()
    assert (pulled.code, pulled.outcome.retryable) == (1, False)
    assert "used in place" in pulled.outcome.message
    assert [p.name for p in commands.root.iterdir()] == ["m.gguf"]


async def test_pull_without_resolve(server: FileServer, commands: Commands) -> None:
    """By hand, a pull finds out for itself what there is."""
    server.files["/model.gguf"] = b"<html>"
    ended = await commands.pull()
    assert ended.outcome.reason is Reason.UNSUPPORTED_FORMAT
    assert not commands.partial.parent.exists()


async def test_terminal_shows_one_line(server: FileServer, commands: Commands) -> None:
    """On a terminal the progress is a line with a bar that is drawn over and over."""
    ours, theirs = pty.openpty()
    server.faults.append(Fault(hang_after=MIB))
    running = await commands.start("pull", expected=SIZE, terminal=theirs)
    os.close(theirs)
    shown = asyncio.create_task(asyncio.to_thread(_read_all, ours))
    await commands.held(MIB)
    await running.measured()
    server.release.set()
    assert (await running.ended()).code == 0
    text = await shown
    assert "\r\x1b[2K[#####...................] downloading 24 % · 1.00 MiB of 4.01 MiB" in text


def _read_all(handle: int) -> str:
    """What is written to a terminal until its other end is closed, which Linux tells as EIO."""
    found = b""
    try:
        while block := os.read(handle, 4096):
            found += block
    except OSError:
        pass
    finally:
        os.close(handle)
    return found.decode()


@pytest.mark.engine
async def test_real_model(engine: Engine, commands: Commands) -> None:
    """SmolLM2 itself: its metadata, by resolve and by pull, and its bytes."""
    async with FileServer(folder=engine.model.parent).running() as server:
        commands.url = server.url(f"/{engine.model.name}")
        resolved = (await commands.resolve()).outcome.artifact
        pulled = (await commands.pull()).outcome.artifact
    for artifact in (resolved, pulled):
        assert artifact is not None
        assert (artifact.architecture, artifact.parameters) == ("llama", "134.52 M")
        assert (artifact.quantization, artifact.context_size) == ("Q4_1", 8192)
        assert artifact.size_bytes == engine.model.stat().st_size
    cached = commands.folder / engine.model.name
    assert filecmp.cmp(cached, engine.model, shallow=False)
