"""What the tests of registries share: commands for a reference, and how they end."""

import asyncio
import os
import sys
from pathlib import Path

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import OciSource, Source
from tests.integration.weights.commands import PATIENCE, Commands, Ended
from tests.support.file_server import FileServer
from tests.support.go_tools import Tool, ensure
from tests.support.oci_files import OciFiles


def serve(server: FileServer, commands: Commands, files: OciFiles) -> None:
    """Let the server be a registry with this artifact, and the commands be about it."""
    server.files = files.files()
    commands.source = source(f"127.0.0.1:{server.port}/{files.name}:{files.tag}")


def source(reference: str) -> Source:
    """A source over plain http."""
    return Source(oci=OciSource(reference=reference, insecure=True))


def failed(
    ended: Ended, says: str, *, reason: Reason = Reason.PULL_FAILED, retryable: bool = False
) -> None:
    """It failed in these words, which are no stack."""
    assert ended.code == 1
    assert says in ended.outcome.message
    assert (ended.outcome.reason, ended.outcome.retryable) == (reason, retryable)
    assert "Traceback" not in ended.log


def refused(ended: Ended, says: str) -> None:
    """It is nothing that can be run."""
    failed(ended, says, reason=Reason.UNSUPPORTED_FORMAT)


async def package(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    """Run `runnerd package` with the login in `folder`/docker; status, answer, log."""
    inherited = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runnerd", "package", *map(str, arguments)),
        env={**inherited, "DOCKER_CONFIG": str(folder / "docker")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, log = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, answer.decode(), log.decode()


async def docker(folder: Path, *arguments: str | Path) -> str:
    """Run Docker's tool on a store in the folder; what it printed."""
    return await _docker(Tool.MDLTOOL, f"--store-path={folder / 'store'}", *arguments)


async def docker_library(folder: Path, *arguments: str | Path) -> str:
    """Let Docker's newest library work on a store in the folder; what it printed."""
    return await _docker(Tool.UNBUNDLE, folder / "library", *arguments)


async def _docker(tool: Tool, *arguments: str | Path) -> str:
    program = await asyncio.to_thread(ensure, tool)
    plain = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    process = await asyncio.create_subprocess_exec(
        *(str(program), *map(str, arguments)),
        env={**plain, "INSECURE_REGISTRY": "true"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    found, log = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, (found + log).decode()
    return found.decode()
