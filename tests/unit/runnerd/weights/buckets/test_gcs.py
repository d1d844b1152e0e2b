"""Who asks Google Cloud Storage, and with which key."""

import json
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Credentials, GcsSource
from runnerd.weights.buckets.gcs import ACCOUNT_KEY, IDENTITIES, GcsEntrance, read_account
from runnerd.weights.failure import WeightsError
from tests.support.gcs_server import account

SOURCE = GcsSource(bucket="abc")
PARTS = {"client_email": "a@b", "private_key": "not-a-key", "private_key_id": "1"}


def _secret(folder: Path, text: str | bytes) -> Credentials:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / ACCOUNT_KEY).write_bytes(data)
    return Credentials(secret="s", folder=str(folder))


def _entrance(
    credentials: Credentials | None = None, environment: dict[str, str] | None = None
) -> GcsEntrance:
    return GcsEntrance(SOURCE, credentials, stall_timeout=1.0, environment=environment or {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not hold such a key"),
        (b"\xff", "is not text"),
        ("{", f"the key {ACCOUNT_KEY} of the Secret s is not JSON"),
        ("[]", "lacks client_email, private_key, private_key_id"),
        (json.dumps(PARTS | {"private_key": ""}), "is no key of a service account: it lacks priv"),
        (json.dumps(PARTS | {"client_email": 1}), "it lacks client_email"),
    ],
)
def test_broken_secrets(text: str | bytes, says: str, tmp_path: Path) -> None:
    """The message says what is wrong and the command that makes the Secret; it may be mended."""
    with pytest.raises(WeightsError, match=says) as caught:
        read_account(_secret(tmp_path, text))
    recipe = f"kubectl create secret generic s --from-file={ACCOUNT_KEY}=key.json"
    assert recipe in str(caught.value)
    assert caught.value.retryable


def test_no_secret(tmp_path: Path) -> None:
    """Nobody can tell in a pod whether the Secret or its key is missing."""
    missing = Credentials(secret="s", folder=str(tmp_path))
    with pytest.raises(
        WeightsError, match=f"no Secret s in this namespace, or it has no key {ACCOUNT_KEY}"
    ):
        read_account(missing)


def test_a_key_that_is_none(tmp_path: Path) -> None:
    """What the library cannot read is told without what it holds."""
    entrance = _entrance(_secret(tmp_path, json.dumps(PARTS)))
    with pytest.raises(WeightsError, match=r"private_key .* is no RSA key") as caught:
        entrance.connect()
    assert "not-a-key" not in str(caught.value)


def test_a_key_that_is_replaced_is_taken_over(tmp_path: Path) -> None:
    """Only a whole one is."""
    entrance = _entrance(_secret(tmp_path, account("old@b")))
    entrance.connect()
    assert not entrance.renew()
    _secret(tmp_path, "{")
    assert not entrance.renew()
    _secret(tmp_path, account("new@b"))
    assert entrance.renew()
    entrance.connect()


def test_a_server_is_asked_who_we_are_only_after_a_refusal() -> None:
    """A public bucket needs nobody, and a cluster elsewhere has no such server."""
    entrance = _entrance()
    assert not entrance.asker.identity
    entrance.connect()
    assert entrance.renew()
    assert entrance.asker.identity
    assert entrance.asker.guessed
    assert not entrance.renew()


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_is_known_by_the_environment(name: str) -> None:
    """What platforms and people set; it is no guess."""
    asker = _entrance(environment={name: "x"}).asker
    assert asker.identity
    assert not asker.guessed


def test_a_login_of_a_person(tmp_path: Path) -> None:
    """`runnerd pull gs://…` by hand comes as who is logged in."""
    found = tmp_path / ".config" / "gcloud"
    found.mkdir(parents=True)
    assert not _entrance(environment={"HOME": str(tmp_path)}).asker.identity
    (found / "application_default_credentials.json").write_text("{}")
    assert _entrance(environment={"HOME": str(tmp_path)}).asker.identity


def test_a_file_of_a_kind_that_is_not_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identities of other clouds (external_account) are refused in words."""
    file = tmp_path / "identity.json"
    file.write_text('{"type": "external_account"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(WeightsError, match="external_account are not understood"):
        _entrance(environment={"GOOGLE_APPLICATION_CREDENTIALS": str(file)}).connect()


def test_plain_http_has_to_be_meant() -> None:
    """Nobody's keys and weights go over the wire by a slip."""
    source = GcsSource(bucket="abc", endpoint="http://s.invalid")
    with pytest.raises(WeightsError, match=r"set spec\.source\.gcs\.insecure to true") as caught:
        GcsEntrance(source, None, stall_timeout=1.0)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
