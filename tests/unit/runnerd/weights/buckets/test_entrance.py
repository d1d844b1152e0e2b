"""What all ways into buckets have in common."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import Bucket as BucketSource
from modelrunner_protocol.wire import AzureSource, Credentials, GcsSource, S3Source
from runnerd.weights.buckets import azure, gcs, s3
from runnerd.weights.buckets.bucket import Bucket
from runnerd.weights.buckets.doors import entrance
from runnerd.weights.buckets.entrance import is_own
from runnerd.weights.failure import DeniedError, WeightsError
from tests.support.file_server import Fault, FileServer
from tests.support.gcs_server import READER, account

SECRET = "U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUMTI="  # 32 bytes, as a key for SSE-C has
OWN = {
    "AWS_ACCESS_KEY_ID": "own",
    "AWS_SECRET_ACCESS_KEY": "own",
    "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=own",
}


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("", True),
        ("https://storage.googleapis.com", True),
        ("https://Storage-acme.p.GoogleAPIs.com:443/a", True),
        ("https://googleapis.com/", True),
        ("http://storage.googleapis.com", False),
        ("https://storage.googleapis.com:8443", False),
        ("https://evil.example/storage.googleapis.com", False),
        ("https://evilgoogleapis.com", False),
        ("https://storage.googleapis.com.evil.example", False),
        ("https://storage.googleapis.com@evil.example", False),
        ("https://evil.example\\@storage.googleapis.com", False),
        ("https://evil.example?x=.googleapis.com", False),
    ],
)
def test_servers_of_the_cloud(endpoint: str, own: bool) -> None:
    """Names in other parts of a URL, and URLs with two readings, are no such servers."""
    assert is_own(endpoint, gcs.GcsEntrance.servers) is own


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("s3.amazonaws.com", True),
        ("s3.eu-central-1.amazonaws.com", True),
        ("s3.dualstack.us-gov-west-1.amazonaws.com", True),
        ("s3-fips.us-east-1.amazonaws.com", True),
        ("s3.cn-north-1.amazonaws.com.cn", True),
        ("bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", True),
        ("s3express-use1-az4.us-east-1.amazonaws.com", True),
        ("s3express-fips-usw2-az1.dualstack.us-west-2.amazonaws.com", True),
        ("b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", True),
        ("s3.us-east-1.api.aws", True),
        ("bucket.s3-fips.us-gov-west-1.api.aws", True),
        ("s3.dualstack.eu-central-1.api.aws", True),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", False),
        ("s3-evil-123.us-east-1.elb.amazonaws.com", False),
        ("vpce-1.vpce-svc-2.us-east-1.vpce.amazonaws.com", False),
        ("a.execute-api.us-east-1.amazonaws.com", False),
        ("s3.amazonaws.com.evil.example", False),
        ("s3express-use1-az4.us-east-1.elb.amazonaws.com", False),
        ("s3express-evil.us-east-1.amazonaws.com", False),
        ("evil-s3express-use1-az4.us-east-1.amazonaws.com", False),
        ("s3express-use1-az4.us-east-1.amazonaws.com.evil.example", False),
        ("s3.us-east-1.api.aws.evil.example", False),
        ("s3.us-east-1.evil-api.aws", False),
        ("s3.us-east-1.apixaws", False),
        ("evils3.us-east-1.api.aws", False),
        ("s3.evil.api.aws", False),
        ("s3.api.aws", False),
        ("s3-evil.us-east-1.api.aws", False),
        ("a.execute-api.us-east-1.api.aws", False),
    ],
)
def test_not_all_of_amazons_hosts_are_stores(host: str, own: bool) -> None:
    """Machines, balancers and gateways of other people have names below the same domain."""
    assert is_own(f"https://{host}", s3.S3Entrance.servers) is own


def _source(kind: str, endpoint: str) -> BucketSource:
    if kind == "azure":
        return AzureSource(account="acme", container="abc", endpoint=endpoint, insecure=True)
    if kind == "gcs":
        return GcsSource(bucket="abc", endpoint=endpoint, insecure=True)
    return S3Source(bucket="abc", endpoint=endpoint, insecure=True)


_VARIABLES = {
    **dict.fromkeys(azure.IDENTITIES, "azure"),
    "AZURE_STORAGE_MASTER_KEY": "azure",
    **dict.fromkeys(gcs.IDENTITIES, "gcs"),
    **dict.fromkeys(s3.IDENTITIES, "s3"),
    **dict.fromkeys(("AWS_SESSION_TOKEN", "AWS_TOKEN", "AWS_SSE_CUSTOMER_KEY_BASE64"), "s3"),
}


@pytest.mark.parametrize("name", _VARIABLES)
@pytest.mark.parametrize("secret", [False, True], ids=["no Secret", "a Secret"])
async def test_an_identity_is_shown_to_no_other_server(
    name: str, secret: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes a Model may name any server and any Secret, and collects nothing of the pod's there.

    With a Secret nothing but what that holds is sent.
    """
    value = f"sv=1&sig={SECRET}" if "SAS" in name else SECRET
    if "ACCOUNT" in name and name.startswith("GOOGLE"):
        value = account(SECRET)
    if name.endswith(("_FILE", "_CREDENTIALS", "_PATH", "SERVICE_ACCOUNT")):
        (tmp_path / "word").write_text(value)
        value = str(tmp_path / "word")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "sse-c" if "SSE" in name else "AES256")
    for own, text in {**OWN, gcs.ACCOUNT_KEY: account()}.items():
        (tmp_path / own).write_text(text)
    credentials = Credentials(secret="s", folder=str(tmp_path)) if secret else None
    async with FileServer().running() as server:
        server.always = Fault(status=403)
        bucket = Bucket(
            entrance(_source(_VARIABLES[name], server.url("")), credentials, stall_timeout=9.0)
        )
        for ask in (bucket.files(""), bucket.open("m.gguf", 0, 1)):
            with pytest.raises(DeniedError):
                await ask
        sent = [f"{one.path} {_readable(one.headers)}" for one in server.requests]
    assert len(sent) >= 2
    for told in sent:
        assert SECRET not in told
        assert (
            secret
            == ("authorization" in told.lower() or "sig=" in told)
            == ("Credential=own" in told or READER in told or "sig=own" in told)
        )


def _readable(headers: Mapping[str, str]) -> str:
    """Headers as text, with what a signed token says of its maker."""
    claims = headers.get("authorization", "").partition(".")[2].partition(".")[0]
    return json.dumps(dict(headers)) + urlsafe_b64decode(f"{claims}==").decode("latin-1")


async def test_whoever_relied_on_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint of the platform's own belongs where the identity is."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    async with FileServer().running() as server:
        server.always = Fault(status=403)
        bucket = Bucket(entrance(_source("s3", server.url("")), None, stall_timeout=9.0))
        with pytest.raises(DeniedError, match="AWS_ENDPOINT_URL in the ModelRunner's env may"):
            await bucket.files("")


def test_a_variable_that_the_library_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is, without what it holds."""
    monkeypatch.setenv("AWS_S3_EXPRESS", "true")
    with pytest.raises(WeightsError, match="one of the variables AWS_… of the") as caught:
        Bucket(entrance(_source("s3", ""), None, stall_timeout=9.0))
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@pytest.mark.parametrize(
    "address", ["nonsense", "http://h:99999", "http://a:b:c", "https://", "x://h"]
)
def test_addresses_of_no_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would fall over; who wrote it is told, be it in a Model or for the platform."""
    with pytest.raises(WeightsError, match=r"correct spec\.source\.s3\.endpoint"):
        entrance(_source("s3", address), None, stall_timeout=9.0)
    s3_names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
    for kind, name in (*(("s3", name) for name in s3_names), ("gcs", "GOOGLE_BASE_URL")):
        with monkeypatch.context() as patch:
            patch.setenv(name, address)
            with pytest.raises(WeightsError, match=f"the variable {name} holds no address"):
                entrance(_source(kind, ""), None, stall_timeout=9.0)


@pytest.mark.parametrize(
    ("kind", "name", "identity"),
    [
        ("azure", "IDENTITY_ENDPOINT", "IDENTITY_ENDPOINT"),
        ("azure", "AZURE_IDENTITY_ENDPOINT", "AZURE_IDENTITY_ENDPOINT"),
        ("azure", "AZURE_MSI_ENDPOINT", "AZURE_MSI_ENDPOINT"),
        ("azure", "AZURE_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE"),
        ("azure", "AZURE_STORAGE_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE"),
        ("s3", "AWS_ENDPOINT_URL_STS", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ],
)
def test_a_variable_that_names_no_giver_of_tokens(
    kind: str, name: str, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library would end the process with a stack; it matters to no other server."""
    monkeypatch.setenv(identity, "/a/file")
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(WeightsError, match=f"the variable {name} holds no address") as told:
        entrance(_source(kind, ""), None, stall_timeout=9.0)
    assert told.value.reason is Reason.INVALID_CONFIGURATION
    source = _source(kind, "https://elsewhere.example")
    assert entrance(source, None, stall_timeout=9.0).asker.withheld


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
async def test_a_variable_that_names_plain_http(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Model has said that it may be; who wrote it is told where."""
    source = S3Source(bucket="abc")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    async with FileServer().running() as server:
        monkeypatch.setenv(name, server.url(""))
        bucket = Bucket(entrance(source, None, stall_timeout=9.0))
        says = (
            rf"in the variable {name} of the ModelRunner's env, or set spec\.source\.s3\.insecure"
        )
        with pytest.raises(WeightsError, match=says):
            await bucket.files("")
        assert not server.requests
