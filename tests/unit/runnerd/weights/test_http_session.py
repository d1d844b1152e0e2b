"""Proxies and certificates of the environment that are not good."""

import os
import socket
from pathlib import Path

import pytest
from yarl import URL

from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.http_session import new_session, send
from tests.support.certificates import server_certificate
from tests.support.file_server import Fault, FileServer

TARGET = URL("http://weights.invalid/m.gguf")
SECURE = URL("https://weights.invalid/m.gguf")


async def _ask(url: URL) -> int:
    async with new_session(9.0) as session:
        response = await send(session, "GET", url, {})
        response.close()
        return response.status


async def test_a_client_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the whole process's, engines included: who begins that decides."""
    monkeypatch.setenv("NETRC", "mine")
    await new_session(9.0).close()
    assert os.environ["NETRC"] == "mine"


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told apart from the server, and who we are to it is told to nobody."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{port}")
        with pytest.raises(TransientError, match=f"the proxy 127.0.0.1:{port} does not") as caught:
            await _ask(TARGET)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (407, WeightsError, "answered 407 .* correct the user and password in HTTPS_PROXY"),
        (403, WeightsError, "answered 403 .* name the host in NO_PROXY"),
        (503, TransientError, "the proxy of the environment answered 503"),
    ],
)
async def test_a_proxy_that_lets_nobody_through(
    status: int, kind: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its refusal is not the server's."""
    async with FileServer().running() as proxy:
        proxy.always = Fault(status=status)
        monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{proxy.port}")
        with pytest.raises(kind, match=says) as caught:
            await _ask(SECURE)
        assert proxy.requests[0].method == "CONNECT"
    assert "hunter2" not in str(caught.value)


async def test_a_proxy_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as what may be wrong."""
    monkeypatch.setenv("https_proxy", "nonsense")
    with pytest.raises(WeightsError, match="that of the proxy in HTTP_PROXY or HTTPS_PROXY"):
        await _ask(SECURE)


@pytest.mark.parametrize(
    ("there", "says"), [(False, "and not there"), (True, "set SSL_CERT_FILE$")]
)
async def test_certificates_that_help_nobody(
    there: bool, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not there is told; of one that holds others, what to mount."""
    path = tmp_path / "certificates.pem"
    if there:
        path.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with FileServer().running(tls=server_certificate(tmp_path)) as server:
        with pytest.raises(WeightsError, match=says):
            await _ask(URL(server.url()))
