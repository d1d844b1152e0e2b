"""What a Secret must hold to be an API key."""

import base64
import re

import pytest

from modelrunner.gateway.auth.key import MalformedKeyError, read_key
from tests.unit.modelrunner.gateway.auth.conftest import model, secret

PLAIN = "mrk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


def test_a_hash_is_enough() -> None:
    """Without anything else a key may infer with every model, without a limit or an end."""
    key = read_key(secret("alice", PLAIN))
    assert key.name == "alice"
    assert key.scopes == {"infer"}
    assert key.may_use(model("any", "thing"))
    assert (key.concurrent, key.per_minute, key.expires) == (None, None, None)


def test_all_fields() -> None:
    """What is written is what counts; white space around a value, as files have, does not."""
    key = read_key(
        secret(
            "alice",
            PLAIN,
            scopes="manage,infer\n",
            models="team-a/* team-b/x\n",
            maxConcurrent="4\n",
            requestsPerMinute="60",
            expires="1970-01-02T01:00:00+01:00",
        )
    )
    assert key.scopes == {"infer", "manage"}
    assert key.may_use(model("team-a", "y"))
    assert not key.may_use(model("team-b", "y"))
    assert (key.concurrent, key.per_minute, key.expires) == (4, 60, 86400.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sha256": PLAIN}, "sha256: is not the SHA-256"),
        ({"sha256": "0" * 63}, "sha256: is not the SHA-256"),
        ({"sha256": "A" * 64}, "sha256: is not the SHA-256"),
        ({"model": "a/b"}, "model: no such field"),
        ({"key": PLAIN}, "key: no such field"),
        ({PLAIN: ""}, "mrk_0123456789abcdef: no such field"),
        ({"scopes": ""}, "scopes: no scope"),
        ({"scopes": f"infer,{PLAIN}"}, "scopes: holds something else than infer, manage"),
        ({"models": ""}, "models: no pattern"),
        ({"models": f"a/b {PLAIN}"}, "models: pattern 2 is neither"),
        ({"maxConcurrent": "0"}, "maxConcurrent: is not a whole number above zero"),
        ({"maxConcurrent": "-1"}, "maxConcurrent: is not a whole number above zero"),
        ({"maxConcurrent": "9" * 5000}, "maxConcurrent: is not a whole number above zero"),
        ({"requestsPerMinute": "1.5"}, "requestsPerMinute: is not a whole number above zero"),
        ({"requestsPerMinute": ""}, "requestsPerMinute: is not a whole number above zero"),
        ({"expires": "tomorrow"}, "expires: is not a time"),
        ({"expires": "2030-01-31T00:00:00"}, "expires: names no time zone"),
        ({"expires": "0001-01-01T00:00:00+14:00"}, "expires: is not a time"),
        ({"expires": "9999-12-31T23:00:00-14:00"}, "expires: is not a time"),
        ({"models": "a/ü"}, "models: is not plain text"),
    ],
)
def test_what_is_malformed_is_refused_whole(fields: dict[str, str], words: str) -> None:
    """The reason names the field and never quotes a value, not even in what caused it."""
    with pytest.raises(MalformedKeyError, match=f"^{re.escape(words)}") as refused:
        read_key(secret("alice", PLAIN, **fields))
    assert PLAIN not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_no_hash() -> None:
    """A labelled Secret without a hash, or without anything, is no key."""
    for empty in (secret("x"), {"metadata": {"name": "x"}}, secret("x", models="*")):
        with pytest.raises(MalformedKeyError, match="sha256 is missing"):
            read_key(empty)


def test_bytes_that_are_no_text() -> None:
    """Binary data is refused, and a bad encoding too."""
    for value in (base64.b64encode(b"\xff\xfe").decode(), "%%%"):
        body = secret("x", PLAIN)
        body["data"]["models"] = value
        with pytest.raises(MalformedKeyError, match=r"^models: is not plain text"):
            read_key(body)


def test_a_key_printed_shows_nothing_of_its_hash() -> None:
    """Whoever logs a key by mistake gives nothing away."""
    key = read_key(secret("alice", PLAIN))
    assert "alice" in repr(key)
    assert repr(key.digest) not in repr(key)
    assert key.digest.hex() not in repr(key)
