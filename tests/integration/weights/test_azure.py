"""Who we are to Azure Blob Storage: keys, signatures, clients and identities."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrunner_protocol.wire import AzureSource, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import SIZE
from tests.support.azure_server import (
    ACCOUNT,
    KEY,
    AzureServer,
    keys,
    running_azure,
    shared_signature,
)
from tests.support.certificates import server_certificate
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import model

PATH = "/models/tiny/m.gguf"
WEIGHTS = model(SIZE)
SIGNED_IN = json.dumps({"access_token": "for-an-hour", "expires_in": 3600}).encode()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A store with a container that is private and one that is public."""
    with running_azure(tmp_path_factory.mktemp("azure")) as store:
        store.make("open", public=True)
        for container in ("models", "open"):
            store.put(container, "tiny/m.gguf", WEIGHTS)
        yield store


@pytest.fixture
def commands(commands: Commands, tmp_path: Path) -> Commands:
    """They have the account's key."""
    commands.credentials = keys(tmp_path / "secret")
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "50s"
    return commands


def _ask(
    commands: Commands, endpoint: str, container: str = "models", prefix: str = "tiny"
) -> None:
    source = AzureSource(
        account=ACCOUNT, container=container, prefix=prefix, endpoint=endpoint, insecure=True
    )
    commands.source = Source(azure=source)


def _pulled(commands: Commands, ended: Ended) -> None:
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_a_shared_signature(store: AzureServer, commands: Commands, tmp_path: Path) -> None:
    """It opens the container that it was made for, and is shown nowhere."""
    _ask(commands, store.url)
    signature = shared_signature("models")
    commands.credentials = keys(tmp_path / "secret", AZURE_STORAGE_SAS_TOKEN=signature)
    ended = await commands.pull()
    _pulled(commands, ended)
    assert "sig=" not in ended.log


async def test_a_signature_that_ends_during_a_pull(
    store: AzureServer, commands: Commands, tmp_path: Path
) -> None:
    """A connection that breaks is made anew with the Secret's new one, without losing a byte."""
    _ask(commands, store.url)
    secret = tmp_path / "secret"
    commands.credentials = keys(secret, AZURE_STORAGE_SAS_TOKEN=shared_signature("models"))
    held = await commands.killed_midway()
    old = shared_signature("models", lasts=-60)
    commands.credentials = keys(secret, AZURE_STORAGE_SAS_TOKEN=old)
    ended = await commands.pull()
    assert "the Secret bucket" in ended.outcome.message
    assert "AZURE_STORAGE_SAS_TOKEN" in ended.outcome.message
    assert ended.outcome.retryable
    commands.credentials = keys(secret, AZURE_STORAGE_SAS_TOKEN=shared_signature("models"))
    ended = await commands.pull()
    _pulled(commands, ended)
    assert ended.outcome.downloaded_bytes == SIZE - held


@pytest.mark.parametrize("prefix", ["tiny", "tiny/m.gguf"])
async def test_a_wrong_key(
    prefix: str, store: AzureServer, commands: Commands, tmp_path: Path
) -> None:
    """The message names the Secret and its key; mending the Secret helps."""
    _ask(commands, store.url, prefix=prefix)
    commands.credentials = keys(tmp_path / "secret", AZURE_STORAGE_ACCOUNT_KEY="d3Jvbmc=")
    ended = await commands.resolve()
    assert "the Secret bucket" in ended.outcome.message
    assert "AZURE_STORAGE_ACCOUNT_KEY" in ended.outcome.message
    assert ended.outcome.retryable
    assert "Traceback" not in ended.log


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": "not base64"}, "does not hold such a key"),
        ({"AZURE_CLIENT_ID": "x"}, "it has no key AZURE_CLIENT_SECRET and AZURE_TENANT_ID"),
        ({"password": "x"}, "none of the keys AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN"),
    ],
)
async def test_a_secret_that_holds_something_else(
    files: dict[str, str], says: str, store: AzureServer, commands: Commands, tmp_path: Path
) -> None:
    """The message tells the command that makes the Secret."""
    _ask(commands, store.url)
    commands.credentials = keys(tmp_path / "secret", **files)
    ended = await commands.resolve()
    assert says in ended.outcome.message
    assert "kubectl create secret generic bucket" in ended.outcome.message


async def test_containers(store: AzureServer, commands: Commands) -> None:
    """One that is public needs no keys; one that is not says so; one that is not there, too."""
    _ask(commands, store.url, "none")
    missing = (await commands.resolve()).outcome.message
    assert "has no container none: correct spec.source.azure.container" in missing
    commands.credentials = None
    _ask(commands, store.url)
    refused = (await commands.resolve()).outcome.message
    assert "is not public" in refused
    assert "spec.source.credentialsSecret" in refused
    _ask(commands, store.url, "open")
    _pulled(commands, await commands.pull())


async def test_an_account_that_is_not_there(commands: Commands) -> None:
    """Its name is not known, which may pass: the network may be down."""
    source = AzureSource(account="nobody", container="models", endpoint="https://nobody.invalid")
    commands.source = Source(azure=source)
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "3s"
    told = (await commands.resolve()).outcome.message
    assert "not known to DNS" in told
    assert "correct spec.source.azure.endpoint" in told


@pytest.fixture
async def sign_in(tmp_path: Path, commands: Commands) -> "FileServer":
    """A server that gives tokens, and serves the blob to who has one."""
    server = FileServer({PATH: WEIGHTS, "/tenant/oauth2/v2.0/token": SIGNED_IN})
    commands.environment["SSL_CERT_FILE"] = str(tmp_path / "certificate.pem")
    return server


async def test_a_client_with_a_secret(
    sign_in: FileServer, commands: Commands, tmp_path: Path
) -> None:
    """It gets a token of its tenant; a wrong secret is told as what it is."""
    names = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
    words = dict(zip(names, ("us", "pass-word", "tenant"), strict=True))
    commands.credentials = keys(tmp_path / "secret", **words)
    async with sign_in.running(tls=server_certificate(tmp_path)) as server:
        _ask(commands, server.url(""), prefix="tiny/m.gguf")
        commands.environment["AZURE_AUTHORITY_HOST"] = server.url("")
        wrong = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"}
        server.always = Fault(status=401, text=json.dumps(wrong))
        ended = await commands.resolve()
        server.always = Fault()
        server.requests.clear()
        _pulled(commands, await commands.pull())
        asked, *read = server.requests
        assert b"pass-word" in asked.body
        assert {one.headers["authorization"] for one in read} == {"Bearer for-an-hour"}
    assert "401 (invalid_client, AADSTS7000215)" in ended.outcome.message
    assert "AZURE_CLIENT_SECRET" in ended.outcome.message
    assert "pass-word" not in ended.log


async def test_the_workload_identity_of_a_pod(
    sign_in: FileServer, commands: Commands, tmp_path: Path
) -> None:
    """The token of its service account is exchanged, as Azure's webhook sets it up."""
    commands.credentials = None
    token = tmp_path / "token"
    token.write_text("a-signed-word")
    async with sign_in.running(tls=server_certificate(tmp_path)) as server:
        _ask(commands, "", prefix="tiny/m.gguf")
        commands.environment |= {
            # As if it were Azure's own: who runs the cluster names it.
            "AZURE_STORAGE_ENDPOINT": server.url(""),
            "AZURE_AUTHORITY_HOST": server.url(""),
            "AZURE_CLIENT_ID": "us",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_FEDERATED_TOKEN_FILE": str(token),
        }
        refused = "<Error><Code>AuthorizationPermissionMismatch</Code></Error>"
        server.by_path[PATH] = Fault(status=403, text=refused)
        ended = await commands.resolve()
        _ask(commands, server.url(""), prefix="tiny/m.gguf")
        server.requests.clear()
        stranger = await commands.resolve()
        told = {one.headers.get("authorization") for one in server.requests}
        _ask(commands, "", prefix="tiny/m.gguf")
        server.by_path.clear()
        server.requests.clear()
        _pulled(commands, await commands.pull())
        asked, *read = server.requests
        assert b"a-signed-word" in asked.body
        assert {one.headers["authorization"] for one in read} == {"Bearer for-an-hour"}
    # A Model that names a server of its own does not get the pod's token there.
    assert told == {None}
    assert "is not public" in stranger.outcome.message
    assert "is not for this pod's identity" in ended.outcome.message
    assert "the role Storage Blob Data Reader" in ended.outcome.message


async def test_the_key_is_shown_nowhere(store: AzureServer, commands: Commands) -> None:
    """Neither in what is told nor in the log."""
    _ask(commands, store.url, "none")
    ended = await commands.resolve()
    assert KEY not in ended.log + ended.outcome.message
