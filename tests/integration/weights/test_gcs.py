"""Who we are to Google Cloud Storage, and how it goes wrong.

The server that other tests pull from lets in everybody, and keeps no conditions; so here a file
server answers as https://cloud.google.com/storage/docs/xml-api/reference-status says.
"""

import json
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import GcsSource, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gcs_server import READER, account, keys, running_gcs
from tests.support.gguf_files import model

PATH = "/models/tiny%2Fm%2Egguf"
FILE = "/models/tiny/m.gguf"
TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"
WEIGHTS = model(SIZE)


@pytest.fixture
def commands(commands: Commands, server: FileServer, tmp_path: Path) -> Commands:
    """They ask for one object, by its name, with a key."""
    server.files = {FILE: WEIGHTS}
    commands.credentials = keys(tmp_path / "secret")
    source = GcsSource(
        bucket="models", prefix="tiny/m.gguf", endpoint=server.url(""), insecure=True
    )
    commands.source = Source(gcs=source)
    # Nobody is asked who we are but the file server.
    commands.environment |= {"HOME": str(tmp_path), "RUNNERD_RESOLVE_TIMEOUT": "50s"}
    commands.environment |= dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_IP"), "127.0.0.1:9")
    return commands


def _refused(status: int, code: str) -> Fault:
    return Fault(status=status, text=f"<Error><Code>{code}</Code><Message>x</Message></Error>")


def _pulled(commands: Commands, ended: Ended) -> None:
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


def _bearers(server: FileServer) -> list[str]:
    return [one.headers.get("authorization", "") for one in server.requests]


async def test_connections_that_break_are_resumed(server: FileServer, commands: Commands) -> None:
    """Only what is missing is asked for; a busy store is asked again."""
    artifact = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    server.faults.extend(
        [Fault(), Fault(cut_after=MIB), _refused(503, "ServiceUnavailable"), Fault(cut_after=MIB)]
    )
    ended = await commands.pull(expected=artifact)
    _pulled(commands, ended)
    assert server.sent < SIZE + MIB
    assert "answered 503" in ended.log


async def test_a_version_is_asked_for_by_its_tag(server: FileServer, commands: Commands) -> None:
    """Every range but the first look is tied to the version that was resolved."""
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    server.requests.clear()
    _pulled(commands, await commands.pull(expected=artifact))
    assert server.requests[-1].headers["if-match"] == artifact.etag


async def test_an_object_that_changed_starts_over(server: FileServer, commands: Commands) -> None:
    """A 412 is no failure: the object of now is fetched from its start."""
    artifact = (await commands.resolve()).outcome.artifact
    server.faults.extend(
        [Fault(), Fault(cut_after=MIB), _refused(412, "PreconditionFailed"), Fault()]
    )
    _pulled(commands, await commands.pull(expected=artifact))


async def test_requests_are_signed_with_the_key(server: FileServer, commands: Commands) -> None:
    """A token that the key has signed says who we are; nobody else is asked for one."""
    assert (await commands.resolve()).code == 0
    (bearer,) = set(_bearers(server))
    assert bearer.startswith("Bearer ey")
    assert {one.path for one in server.requests} == {PATH}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_refused(401, "AuthenticationRequired"), "refuses the keys of the Secret bucket"),
        (_refused(403, "AccessDenied"), "allow it the role Storage Object Viewer"),
        (_refused(404, "NoSuchBucket"), "has no bucket models: correct spec.source.gcs.bucket"),
        (_refused(400, "UserProjectMissing"), "the store answered 400 (UserProjectMissing)"),
    ],
)
async def test_refusals(fault: Fault, says: str, server: FileServer, commands: Commands) -> None:
    """What the store says is told in words, with what to change."""
    server.always = fault
    ended = await commands.resolve()
    assert ended.code == 1
    assert says in ended.outcome.message
    assert ended.outcome.reason is Reason.PULL_FAILED
    assert "Traceback" not in ended.log


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is not JSON"), ('{"client_email": "a@b"}', "it lacks private_key, private_key_id")],
)
async def test_a_secret_that_holds_something_else(
    text: str, says: str, commands: Commands, tmp_path: Path
) -> None:
    """The message tells the command that makes the Secret."""
    commands.credentials = keys(tmp_path / "secret", text)
    ended = await commands.resolve()
    assert says in ended.outcome.message
    assert "--from-file=service-account.json=key.json" in ended.outcome.message
    assert ended.outcome.retryable


async def test_a_key_that_is_replaced_during_a_pull(
    server: FileServer, commands: Commands, tmp_path: Path
) -> None:
    """The old one is refused, the new one goes on."""
    artifact = (await commands.resolve()).outcome.artifact

    def replace() -> None:
        keys(tmp_path / "secret", account(f"new-{READER}"))

    refused = _refused(401, "AuthenticationRequired")
    refused.before = replace
    server.requests.clear()
    server.faults.extend([Fault(), Fault(cut_after=MIB), refused])
    _pulled(commands, await commands.pull(expected=artifact))
    assert len(set(_bearers(server))) == 2
    assert server.sent < SIZE + MIB


async def test_a_public_bucket_needs_nobody(server: FileServer, commands: Commands) -> None:
    """Without a Secret nothing is signed, and no metadata server is asked."""
    commands.credentials = None
    commands.environment["GCE_METADATA_HOST"] = f"127.0.0.1:{server.port}"
    _pulled(commands, await commands.pull())
    assert set(_bearers(server)) == {""}
    assert {one.path for one in server.requests} == {PATH}


async def test_the_identity_of_a_pod(server: FileServer, commands: Commands) -> None:
    """Where nobody is refused, the metadata server of the cloud is asked who we are."""
    commands.credentials = None
    # As if it were Google's own: who runs the cluster names it.
    commands.source = Source(gcs=GcsSource(bucket="models", prefix="tiny/m.gguf", insecure=True))
    commands.environment["GOOGLE_BASE_URL"] = server.url("")
    commands.environment["GCE_METADATA_HOST"] = f"127.0.0.1:{server.port}"
    token = {"access_token": "for-an-hour", "expires_in": 3600, "token_type": "Bearer"}
    server.files[TOKEN] = json.dumps(token).encode()
    server.faults.append(_refused(401, "AuthenticationRequired"))
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    refused, asked, *read = _bearers(server)
    assert (refused, asked) == ("", "")
    assert set(read) == {"Bearer for-an-hour"}
    server.faults.append(_refused(401, "AuthenticationRequired"))
    _pulled(commands, await commands.pull(expected=artifact))


async def test_an_identity_is_not_for_any_server(server: FileServer, commands: Commands) -> None:
    """A Model that names a server of its own does not get the pod's token there."""
    commands.credentials = None
    commands.environment["GCE_METADATA_HOST"] = f"127.0.0.1:{server.port}"
    server.always = _refused(401, "AuthenticationRequired")
    ended = await commands.resolve()
    assert "is not public (401 (AuthenticationRequired)): name a Secret" in ended.outcome.message
    assert {one.path for one in server.requests} == {PATH}
    assert set(_bearers(server)) == {""}


async def test_nobody_is_told_what_to_do(server: FileServer, commands: Commands) -> None:
    """Neither public nor an identity, as in clusters elsewhere."""
    commands.credentials = None
    commands.source = Source(gcs=GcsSource(bucket="models", prefix="tiny/m.gguf", insecure=True))
    commands.environment["GOOGLE_BASE_URL"] = server.url("")
    server.always = _refused(403, "AccessDenied")
    ended = await commands.resolve()
    assert "is not public, and this pod has no identity" in ended.outcome.message
    assert "service-account.json in spec.source.credentialsSecret" in ended.outcome.message
    assert ended.outcome.retryable


async def test_an_empty_object(commands: Commands, tmp_path: Path) -> None:
    """It has no first byte, which the server says in its own way."""
    with running_gcs(tmp_path) as store:
        store.put("models", "empty.gguf", b"")
        source = GcsSource(bucket="models", prefix="empty.gguf", endpoint=store.url, insecure=True)
        commands.source = Source(gcs=source)
        ended = await commands.resolve()
    assert "is empty: upload it again" in ended.outcome.message
    assert ended.outcome.reason is Reason.UNSUPPORTED_FORMAT
