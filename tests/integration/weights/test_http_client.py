"""Redirects, credentials, proxies and certificates."""

from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.certificates import server_certificate
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model


def _redirect(*targets: str) -> list[Fault]:
    return [Fault(status=302, headers={"Location": target}) for target in targets]


def _refused(ended: Ended, says: str) -> None:
    assert (ended.code, ended.outcome.reason) == (1, Reason.PULL_FAILED)
    assert not ended.outcome.retryable
    assert says in ended.outcome.message
    assert "Traceback" not in ended.log


async def test_redirects_are_followed(server: FileServer, commands: Commands) -> None:
    """Absolute and relative targets, five times, with the range kept."""
    server.faults.extend(_redirect("/a/b", "../c", server.url("/d"), "?e=1", "/model.gguf"))
    assert (await commands.resolve()).code == 0
    assert [r.path for r in server.requests] == [
        "/model.gguf",
        "/a/b",
        "/c",
        "/d",
        "/d?e=1",
        "/model.gguf",
    ]
    assert all("range" in r.headers for r in server.requests)


async def test_signed_targets_are_not_rewritten(server: FileServer, commands: Commands) -> None:
    """The escapes of a redirect's target arrive as they were written: a signature covers them."""
    server.faults.extend(_redirect("/model.gguf?sig=a%2Fb%20c+d%7E~&x=%c3%a9"))
    assert (await commands.resolve()).code == 0
    assert server.requests[-1].path == "/model.gguf?sig=a%2Fb%20c+d%7E~&x=%c3%a9"


async def test_a_signature_that_ends_in_the_middle(server: FileServer, commands: Commands) -> None:
    """A signed target that is too old is asked for anew at the URL that leads to it."""
    async with FileServer({"/signed": model(SIZE)}).running() as store:
        server.always = _redirect(store.url("/signed?sig=1"))[0]
        artifact = (await commands.resolve()).outcome.artifact
        server.requests.clear()
        store.requests.clear()
        store.faults.extend([Fault(cut_after=MIB), Fault(status=403), Fault(cut_after=MIB)])
        server.faults.extend(
            _redirect(*(store.url(f"/signed?sig={number}") for number in range(2, 6)))
        )
        ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE), ended.outcome.message
    assert ended.outcome.retries == 3
    assert "127.0.0.1, which it leads to, answered 403; trying again" in ended.log
    asked = [(one.path, one.headers.get("range")) for one in store.requests]
    assert asked == [
        ("/signed?sig=2", None),
        ("/signed?sig=3", f"bytes={MIB}-"),
        ("/signed?sig=4", f"bytes={MIB}-"),
        ("/signed?sig=5", f"bytes={2 * MIB}-"),
    ]
    assert len(server.requests) == 4


async def test_a_target_that_stays_forbidden(server: FileServer, commands: Commands) -> None:
    """It is told after the time without progress, and may be tried again later."""
    commands.environment["RUNNERD_PULL_GIVE_UP_AFTER"] = "1s"
    async with FileServer({}).running() as store:
        store.always = Fault(status=403)
        server.always = _redirect(store.url("/signed"))[0]
        ended = await commands.pull(expected=SIZE)
    assert (ended.code, ended.outcome.retryable) == (1, True)
    assert "which it leads to, answered 403 (given up after" in ended.outcome.message


async def test_six_redirects_are_too_many(server: FileServer, commands: Commands) -> None:
    """A loop of redirects ends."""
    server.always = Fault(status=307, headers={"Location": "/model.gguf"})
    _refused(await commands.resolve(), "redirects more than 5 times")
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("file:///etc/passwd", "redirects to a file: URL"),
        ("ftp://host/model.gguf", "redirects to a ftp: URL"),
        ("gopher://host/", "redirects to a gopher: URL"),
        ("http://[::1", "redirects to a URL that cannot be read"),
        ("http://host:99999/", "redirects to a URL that cannot be read: Port out of range"),
        ("data:text/plain,GGUF", "redirects to a data: URL"),
        ("", "without saying where to"),
    ],
)
async def test_odd_targets_are_refused(
    location: str, says: str, server: FileServer, commands: Commands
) -> None:
    """Only http and https are followed, and the message says what to change."""
    server.faults.extend(_redirect(location))
    _refused(await commands.resolve(), says)
    assert len(server.requests) == 1


async def test_credentials_stay_with_their_host(server: FileServer, commands: Commands) -> None:
    """A user in the URL is sent to that host alone, and appears in no message."""
    async with FileServer({"/model.gguf": model(SIZE)}).running() as other:
        commands.url = server.url("/model.gguf").replace("//", "//user:hunter2@")
        server.faults.extend(_redirect("/again"))
        server.faults.extend(_redirect(other.url("/model.gguf")))
        ended = await commands.resolve()
        assert ended.code == 0
        assert [r.headers.get("authorization", "")[:5] for r in server.requests] == ["Basic"] * 2
        assert [r.headers.get("authorization") for r in other.requests] == [None]
        assert "hunter2" not in ended.log


async def test_a_netrc_is_not_read(server: FileServer, commands: Commands, tmp_path: Path) -> None:
    """What a person keeps for other programs is shown to no server that a source names."""
    (tmp_path / ".netrc").write_text("default login me password hunter2\n")
    commands.environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}
    assert (await commands.resolve()).code == 0
    assert "authorization" not in server.requests[0].headers


async def test_secrets_of_a_url_are_not_told(server: FileServer, commands: Commands) -> None:
    """Neither log nor outcome repeat the query of a URL."""
    commands.url = server.url("/model.gguf?token=hunter2")
    server.faults.extend([Fault(status=503), Fault(status=404)])
    ended = await commands.resolve()
    assert server.requests[0].path == "/model.gguf?token=hunter2"
    assert ended.outcome.message.startswith(server.url("/model.gguf: "))
    assert "hunter2" not in ended.log + ended.outcome.message


async def test_proxy_of_the_environment(server: FileServer, commands: Commands) -> None:
    """HTTP_PROXY is used, and NO_PROXY excepts from it."""
    commands.url = "http://weights.invalid/model.gguf"
    commands.environment["http_proxy"] = f"http://127.0.0.1:{server.port}"
    assert (await commands.resolve()).code == 0
    assert server.requests[0].path == "http://weights.invalid/model.gguf"
    commands.environment |= {"no_proxy": "weights.invalid", "RUNNERD_RESOLVE_TIMEOUT": "3s"}
    assert "DNS" in (await commands.resolve()).outcome.message


async def test_user_agent(server: FileServer, commands: Commands) -> None:
    """Whoever runs the server can see who is asking."""
    await commands.resolve()
    assert server.requests[0].headers["user-agent"].startswith("model-runner-operator/")


async def test_certificate_of_the_environment(commands: Commands, tmp_path: Path) -> None:
    """SSL_CERT_FILE makes a private certificate authority trusted; without it, it says so."""
    context = server_certificate(tmp_path)
    async with FileServer({"/model.gguf": model(SIZE)}).running(tls=context) as server:
        commands.url = server.url()
        _refused(await commands.resolve(), "set SSL_CERT_FILE")
        commands.environment["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
        assert (await commands.resolve()).code == 0


async def test_redirect_from_https_to_http(
    server: FileServer, commands: Commands, tmp_path: Path
) -> None:
    """What began encrypted does not go on in the clear."""
    context = server_certificate(tmp_path)
    commands.environment["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
    async with FileServer({}).running(tls=context) as secure:
        secure.faults.extend(_redirect(server.url()))
        commands.url = secure.url()
        _refused(await commands.resolve(), "redirects from https to http")
    assert server.requests == []
