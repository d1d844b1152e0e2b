"""Logins that end while they are used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from modelrunner_protocol.wire import Credentials, PullConfig
from runnerd.weights.cli import pull_by
from runnerd.weights.clock import SystemClock
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.settings import Settings
from tests.integration.weights.commands import KEY, Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import failed, serve, source
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model
from tests.support.oci_files import GGUF, OciFiles
from tests.support.registry_process import USER, docker_config
from tests.support.token_server import TokenServer
from tests.support.web_apps import listening

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


class _Ticketed:
    """A registry whose token ends once half of the weights has been asked for."""

    def __init__(self, files: OciFiles, half: int) -> None:
        self._files = files.files()
        self._half = half
        self._asked = 0
        self.issue = 1
        self.tokens: list[str] = []
        self.refused = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["_Ticketed"]:
        app = web.Application()
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/{rest:.*}", self._content)
        async with listening(app) as self.port:
            yield self

    async def _token(self, request: web.Request) -> web.Response:
        del request
        self.tokens.append(f"t{self.issue}")
        return web.json_response({"token": self.tokens[-1]})

    async def _content(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer t{self.issue}":
            self.refused += 1
            challenge = f'Bearer realm="http://127.0.0.1:{self.port}/token"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        data = self._files[request.path]
        asked = request.http_range
        part = data[asked]
        self._asked += len(part)
        if self.issue == 1 and self._asked > self._half:
            self.issue = 2
        start = asked.start or 0
        kind = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        headers = {"Content-Range": kind} if "Range" in request.headers else {}
        return web.Response(body=part, status=206 if headers else 200, headers=headers)


async def test_a_token_that_ends_while_four_connections_read(tmp_path: Path) -> None:
    """All of them are refused from then on; one token more is asked for, and nothing is lost."""
    weights = model(64 * MIB)
    files = OciFiles([(GGUF, weights, "")])
    async with _Ticketed(files, len(weights) // 2).running() as registry:
        wanted = source(f"127.0.0.1:{registry.port}/{files.name}:{files.tag}")
        clock = SystemClock()
        meter = ProgressMeter(clock)
        config = PullConfig(source=wanted, key=KEY, root=str(tmp_path))
        await pull_by(config, Settings(connections=4, resolve_timeout=30.0), meter, clock)
    assert registry.tokens == ["t1", "t2"]
    # The first request of all, and those that were made before the second token was there.
    assert 2 <= registry.refused <= 1 + 4
    assert (tmp_path / KEY / "model.gguf").read_bytes() == weights
    assert meter.retries == 0
