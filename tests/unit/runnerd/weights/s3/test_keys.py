"""The keys of a bucket's user out of a mounted Secret."""

from pathlib import Path

import pytest

from modelrunner_protocol.wire import Credentials
from runnerd.weights.failure import WeightsError
from runnerd.weights.s3.keys import Keys, read_keys


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
        ({"AWS_ACCESS_KEY_ID": b"\xff"}, "is not text"),
    ],
)
def test_broken_secrets(files: dict[str, bytes], says: str, tmp_path: Path) -> None:
    """The message names the key and the command that makes the Secret; it may be mended."""
    with pytest.raises(WeightsError, match=says) as caught:
        read_keys(_secret(tmp_path, **files))
    assert "kubectl create secret generic s --from-literal=AWS_ACCESS_KEY_ID=" in str(caught.value)
    assert caught.value.retryable
