"""Logins that end while they are used."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Credentials
from tests.integration.weights.commands import Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import failed, serve
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model
from tests.support.oci_files import GGUF, OciFiles
from tests.support.registry_process import USER, docker_config
from tests.support.token_server import TokenServer

WEIGHTS = model(SIZE)


@pytest.fixture
async def tokens(tmp_path: Path) -> AsyncIterator[TokenServer]:
    """A token server."""
    async with TokenServer(tmp_path).running() as server:
        yield server


async def test_a_login_that_is_revoked_and_renewed(
    server: FileServer, tmp_path: Path, tokens: TokenServer, commands: Commands
) -> None:
    """Revoked in the middle: told at once and kept; with the Secret mended it goes on there."""
    serve(server, commands, OciFiles([(GGUF, WEIGHTS, "")]))
    resolved = (await commands.resolve()).outcome.artifact
    host = f"127.0.0.1:{server.port}"
    commands.credentials = Credentials(
        secret="pull", folder=str(docker_config(tmp_path / "docker", host))
    )

    def revoke() -> None:
        tokens.status = 401

    challenge = {"WWW-Authenticate": tokens.challenge}
    asked = Fault(status=401, headers=challenge)
    server.faults.extend(
        [asked, Fault(cut_after=MIB), Fault(status=401, headers=challenge, before=revoke)]
    )
    server.requests.clear()
    ended = await commands.pull(expected=resolved)
    failed(ended, f"(401) to {USER}: check the repository's name, the password in", retryable=True)
    assert "the Secret pull" in ended.outcome.message
    assert ended.outcome.downloaded_bytes == MIB
    assert (len(server.requests), len(tokens.requests)) == (3, 2)
    # The operator's next try is a new pod, which mounts the Secret as it is by then.
    tokens.status = 0
    docker_config(tmp_path / "docker", host)
    server.faults.append(asked)
    again = await commands.pull(expected=resolved)
    assert (again.code, again.outcome.downloaded_bytes) == (0, SIZE - MIB)


async def test_tokens_that_open_nothing(
    server: FileServer, tmp_path: Path, tokens: TokenServer, commands: Commands
) -> None:
    """A registry that refuses each token it has sent for is asked twice, not for ever."""
    serve(server, commands, OciFiles([(GGUF, WEIGHTS, "")]))
    config = docker_config(tmp_path / "docker", f"127.0.0.1:{server.port}")
    commands.credentials = Credentials(secret="pull", folder=str(config))
    server.always = Fault(status=401, headers={"WWW-Authenticate": tokens.challenge})
    failed(await commands.resolve(), "does not give access to team/model (401)", retryable=True)
    assert (len(server.requests), len(tokens.requests)) == (2, 1)
