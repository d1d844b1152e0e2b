"""Pulls from a store that goes wrong, and from one that a pod's own identity opens."""

from pathlib import Path

import pytest

from modelrunner_protocol.wire import S3Source, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.certificates import server_certificate
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model
from tests.support.s3_server import keys

PATH = "/models/tiny/m.gguf"
WEIGHTS = model(SIZE)
SESSION = b"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>guest</AccessKeyId><SecretAccessKey>loopback</SecretAccessKey>
<SessionToken>for-an-hour</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture
def commands(commands: Commands, server: FileServer, tmp_path: Path) -> Commands:
    """They ask for one object, by its name."""
    server.files = {PATH: WEIGHTS}
    commands.credentials = keys(tmp_path / "secret", AWS_SESSION_TOKEN="for-a-day")
    _ask(commands, server.url(""))
    return commands


def _ask(commands: Commands, endpoint: str) -> None:
    source = S3Source(bucket="models", prefix="tiny/m.gguf", endpoint=endpoint, insecure=True)
    commands.source = Source(s3=source)


def _pulled(commands: Commands, ended: Ended) -> None:
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_connections_that_break_are_resumed(server: FileServer, commands: Commands) -> None:
    """Only what is missing is asked for; a busy store is asked again."""
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    server.faults.extend(
        [Fault(), Fault(cut_after=MIB), Fault(status=503), Fault(cut_after=MIB), Fault(status=500)]
    )
    ended = await commands.pull(expected=artifact)
    _pulled(commands, ended)
    assert server.sent < SIZE + MIB
    assert "answered 503" in ended.log


async def test_a_store_that_falls_silent(server: FileServer, commands: Commands) -> None:
    """A connection without a byte is given up and made anew."""
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = "500ms"
    server.faults.extend([Fault(), Fault(hang_after=MIB)])
    _pulled(commands, await commands.pull(expected=(await commands.resolve()).outcome.artifact))


async def test_a_session_token_is_sent(server: FileServer, commands: Commands) -> None:
    """Keys of a session need their token."""
    await commands.resolve()
    assert {one.headers["x-amz-security-token"] for one in server.requests} == {"for-a-day"}


async def test_nothing_is_signed_without_keys(server: FileServer, commands: Commands) -> None:
    """A public bucket needs none, and no metadata service is asked for them."""
    commands.credentials = None
    _pulled(commands, await commands.pull())
    assert all("authorization" not in one.headers for one in server.requests)


async def test_a_redirect_to_another_host(server: FileServer, commands: Commands) -> None:
    """It is followed, as new buckets need it, and who we are is not told there."""
    other = f"http://localhost:{server.port}{PATH}"
    server.faults.append(Fault(status=307, headers={"Location": other}))
    assert (await commands.resolve()).code == 0
    assert "authorization" in server.requests[0].headers
    assert "authorization" not in server.requests[1].headers


async def test_a_proxy_of_the_environment(server: FileServer, commands: Commands) -> None:
    """HTTP_PROXY is used."""
    server.files["/"] = b""
    _ask(commands, "http://s3.invalid")
    commands.environment["http_proxy"] = server.url("")
    assert (await commands.resolve()).code == 0
    assert server.requests[0].path == f"http://s3.invalid{PATH}"


async def test_an_identity_of_the_pod(commands: Commands, tmp_path: Path) -> None:
    """A web identity token is exchanged for a session's keys; SSL_CERT_FILE is trusted."""
    commands.credentials = None
    token = tmp_path / "token"
    token.write_text("a-signed-word")
    async with FileServer({PATH: WEIGHTS, "/sts": SESSION}).running(
        tls=server_certificate(tmp_path)
    ) as server:
        # Named by the platform: to an endpoint of the Model's no identity is told.
        _ask(commands, "")
        commands.environment |= {
            "AWS_ENDPOINT_URL": server.url(""),
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/reader",
            "AWS_STS_ENDPOINT": server.url("/sts"),
            "AWS_ENDPOINT_URL_STS": server.url("/sts"),
            "RUNNERD_RESOLVE_TIMEOUT": "10s",
        }
        untrusted = await commands.resolve()
        assert "set SSL_CERT_FILE" in untrusted.outcome.message
        commands.environment["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
        _pulled(commands, await commands.pull())
    asked, *read = server.requests
    assert "a-signed-word" in asked.path
    assert {one.headers["x-amz-security-token"] for one in read} == {"for-an-hour"}
