"""Who a bucket's reader is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Credentials, S3Source
from runnerd.weights.failure import WeightsError
from runnerd.weights.s3.bucket import IDENTITIES, Bucket, _Holder

SOURCE = S3Source(bucket="abc", endpoint="https://s.invalid")


def _secret(folder: Path, **files: str) -> Credentials:
    for name, text in files.items():
        (folder / name).write_text(text)
    return Credentials(secret="s", folder=str(folder))


def test_keys_that_are_replaced_are_taken_over(tmp_path: Path) -> None:
    """A session's keys expire during a long pull; a Secret that is half written changes nothing."""
    secret = _secret(tmp_path, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    holder = _Holder(secret)
    _secret(tmp_path, AWS_SECRET_ACCESS_KEY="c", AWS_SESSION_TOKEN="t")
    found = holder()
    assert (found["access_key_id"], found["secret_access_key"], found["token"]) == ("a", "c", "t")
    assert datetime.now(tz=UTC) < found["expires_at"] < datetime.now(tz=UTC) + timedelta(minutes=2)
    (tmp_path / "AWS_ACCESS_KEY_ID").unlink()
    assert holder()["access_key_id"] == "a"


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_is_known_by_the_environment(name: str) -> None:
    """What platforms set; without any of it nothing is signed."""
    asker = Bucket(SOURCE, None, stall_timeout=1.0, environment={name: "x"}).asker
    assert asker.identity
    assert not Bucket(SOURCE, None, stall_timeout=1.0, environment={}).asker.identity


def test_plain_http_has_to_be_meant() -> None:
    """Nobody's keys and weights go over the wire by a slip."""
    source = S3Source(bucket="abc", endpoint="http://s.invalid")
    with pytest.raises(WeightsError, match="insecure to true") as caught:
        Bucket(source, None, stall_timeout=1.0)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
