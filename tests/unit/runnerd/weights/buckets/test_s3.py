"""Who asks S3, with which keys, and what only S3 says."""

from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Credentials, S3Source
from runnerd.weights.buckets.refusal import Asker, refusal
from runnerd.weights.buckets.s3 import IDENTITIES, Keys, S3Entrance, read_keys
from runnerd.weights.failure import WeightsError

SOURCE = S3Source(bucket="abc", endpoint="https://s.invalid", region="r-1")


def _secret(folder: Path, **files: bytes) -> Credentials:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Credentials(secret="s", folder=str(folder))


def test_keys_and_a_session(tmp_path: Path) -> None:
    """The ends of lines do not count, and a session token may be there; nothing of it is shown."""
    found = _secret(tmp_path, AWS_ACCESS_KEY_ID=b"id\n", AWS_SECRET_ACCESS_KEY=b"k/+=\n")
    assert read_keys(found) == Keys(access_key="id", secret_key="k/+=")
    _secret(tmp_path, AWS_SESSION_TOKEN=b"tok")
    assert read_keys(found).session_token == "tok"
    assert "k/+=" not in repr(read_keys(found))
    assert "tok" not in repr(read_keys(found))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no Secret s in this namespace, or it has no key AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": b"id"}, "it has no key AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": b""}, "AWS_ACCESS_KEY_ID of the Secret s does not hold such a key"),
        ({"AWS_ACCESS_KEY_ID": b"a b"}, "does not hold such a key"),
        ({"AWS_ACCESS_KEY_ID": b"a" * 20_000}, "does not hold such a key"),
        ({"AWS_ACCESS_KEY_ID": b"\xff"}, "is not text"),
    ],
)
def test_broken_secrets(files: dict[str, bytes], says: str, tmp_path: Path) -> None:
    """The message names the key and the command that makes the Secret; it may be mended."""
    with pytest.raises(WeightsError, match=says) as caught:
        read_keys(_secret(tmp_path, **files))
    assert "kubectl create secret generic s --from-literal=AWS_ACCESS_KEY_ID=" in str(caught.value)
    assert caught.value.retryable


def test_keys_that_are_replaced_are_taken_over(tmp_path: Path) -> None:
    """A session's keys expire during a long pull; a Secret that is half written changes nothing."""
    secret = _secret(tmp_path, AWS_ACCESS_KEY_ID=b"a", AWS_SECRET_ACCESS_KEY=b"b")
    entrance = S3Entrance(SOURCE, secret, stall_timeout=1.0)
    assert not entrance.renew()
    (tmp_path / "AWS_ACCESS_KEY_ID").unlink()
    assert not entrance.renew()
    _secret(tmp_path, AWS_ACCESS_KEY_ID=b"a", AWS_SESSION_TOKEN=b"t")
    assert entrance.renew()
    assert not entrance.renew()


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_is_known_by_the_environment(name: str) -> None:
    """What platforms set; without any of it nothing is signed."""
    source = S3Source(bucket="abc")
    entrance = S3Entrance(source, None, stall_timeout=1.0, environment={name: "x"})
    assert entrance.asker.identity
    assert not entrance.renew()
    assert not S3Entrance(source, None, stall_timeout=1.0, environment={}).asker.identity


def test_plain_http_has_to_be_meant() -> None:
    """Nobody's keys and weights go over the wire by a slip."""
    source = S3Source(bucket="abc", endpoint="http://s.invalid")
    with pytest.raises(WeightsError, match=r"set spec\.source\.s3\.insecure to true") as caught:
        S3Entrance(source, None, stall_timeout=1.0)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "status code: 301 x: <Code>PermanentRedirect</Code><Region>r-2</Region>",
            "the bucket abc is in the region r-2, not in r-1: set spec.source.s3.region to r-2",
        ),
        (
            "Received redirect without LOCATION, this normally indicates",
            "somewhere else, not in r-1: set spec.source.s3.region",
        ),
    ],
)
def test_a_bucket_of_another_region(text: str, says: str) -> None:
    """The store tells which; some do not, and then both fields may be wrong."""
    asker: Asker = S3Entrance(SOURCE, None, stall_timeout=1.0, environment={}).asker
    assert says in str(refusal(text, asker))
