"""Keys are found by what clients present, and only while their Secrets say so."""

import logging
import re

import pytest

from modelrunner.gateway.auth.keyring import KeyRing
from tests.unit.modelrunner.gateway.auth.conftest import Clock, secret


def test_several_keys_are_told_apart() -> None:
    """Each is found by its own text and by no other."""
    ring = KeyRing()
    ring.replace([secret(f"key-{number}", f"text-{number}") for number in range(100)])
    assert len(ring) == 100
    for number in range(100):
        found = ring.find(f"text-{number}".encode())
        assert found is not None
        assert found.name == f"key-{number}"
    for unknown in (b"", b"text", b"text-100", b"text-1 ", b"\xff\x00", b"x" * 100_000):
        assert ring.find(unknown) is None


def test_the_hash_itself_opens_nothing() -> None:
    """Whoever reads a Secret has not got the key."""
    ring = KeyRing()
    ring.put(secret("one", "text"))
    (key,) = ring._keys.values()
    assert ring.find(key.digest) is None
    assert ring.find(key.digest.hex().encode()) is None


def test_a_collision_of_places_does_not_confuse_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys whose digests have one hash are still compared whole."""
    monkeypatch.setattr("modelrunner.gateway.auth.keyring.hash", lambda _: 7, raising=False)
    ring = KeyRing()
    ring.replace([secret("one", "text-1"), secret("two", "text-2")])
    found = [ring.find(text) for text in (b"text-1", b"text-2", b"text-3")]
    assert [one and one.name for one in found] == ["one", "two", None]


def test_a_revoked_key_is_refused_with_the_next_request() -> None:
    """Deleted, or replaced by another text: the old one opens nothing any more."""
    ring = KeyRing()
    ring.replace([secret("one", "text-1"), secret("two", "text-2"), secret("three", "text-3")])
    ring.drop(secret("one", "text-1"))
    ring.put(secret("two", "text-new"))
    assert [ring.find(text) for text in (b"text-1", b"text-2")] == [None, None]
    assert ring.find(b"text-new") is not None
    ring.replace([])
    assert [ring.find(text) for text in (b"text-3", b"text-new")] == [None, None]
    assert len(ring) == 0


def test_a_key_that_becomes_malformed_is_refused() -> None:
    """An edit that cannot be understood never leaves the older, maybe wider, key in force."""
    ring = KeyRing()
    ring.put(secret("one", "text", models="a/*"))
    ring.put(secret("one", "text", models="everything"))
    assert ring.find(b"text") is None
    assert ring.problems() == {
        "one": "models: pattern 1 is neither * nor of the form namespace/name"
    }
    ring.put(secret("one", "text", models="b/*"))
    assert ring.find(b"text") is not None
    assert ring.problems() == {}


def test_a_malformed_secret_spoils_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is skipped with one warning that names it and holds nothing of it, said once."""
    ring = KeyRing()
    broken = secret("broken", sha256="mrk_plain-text-by-mistake")
    with caplog.at_level(logging.DEBUG):
        ring.replace([secret("good", "text"), broken])
        ring.put(broken)
        ring.replace([secret("good", "text"), broken])
    assert ring.find(b"text") is not None
    (record,) = caplog.records
    assert "Secret broken is not used" in record.getMessage()
    assert "mistake" not in caplog.text
    ring.drop(broken)
    assert ring.problems() == {}


def test_an_expired_key_is_refused_and_told_so() -> None:
    """Up to the second it says; its holder learns why, and nobody else does."""
    clock = Clock(86399.0)
    ring = KeyRing(clock)
    ring.put(secret("one", "text", expires="1970-01-02T00:00:00Z"))
    assert ring.find(b"text") is not None
    clock.now = 86400.0
    assert ring.find(b"text") is None
    assert ring.why_not(b"text") == "The API key one expired at 1970-01-02T00:00:00+00:00"
    assert ring.why_not(b"other") == "The API key is not known here"
    assert "is needed" in ring.why_not(None)


def test_what_is_used_stays_counted_when_a_secret_is_edited() -> None:
    """Raising a limit does not forget what runs; a list after an outage does not either."""
    ring = KeyRing()
    ring.put(secret("one", "text", maxConcurrent="1"))
    before = ring.find(b"text")
    assert before is not None
    before.usage.in_flight = 1
    ring.put(secret("one", "text", maxConcurrent="2"))
    ring.replace([secret("one", "text", maxConcurrent="3")])
    after = ring.find(b"text")
    assert after is not None
    assert (after.concurrent, after.usage.in_flight) == (3, 1)
    assert after.usage is before.usage


def test_two_secrets_with_one_key() -> None:
    """Which of them counts does not depend on the order they came in, so replicas agree."""
    for order in ((0, 1), (1, 0)):
        both = [secret("a", "text", models="a/*"), secret("b", "text", models="b/*")]
        ring = KeyRing()
        for place in order:
            ring.put(both[place])
        found = ring.find(b"text")
        assert found is not None
        assert found.name == "a"
        ring.drop(both[0])
        found = ring.find(b"text")
        assert found is not None
        assert found.name == "b"


def test_comparison_is_constant_time_and_lookup_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are compared by hmac.compare_digest alone; no table is ordered or keyed by them."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("modelrunner.gateway.auth.keyring.hmac.compare_digest", compare)
    ring = KeyRing()
    ring.put(secret("one", "text"))
    assert ring.find(b"text") is not None
    assert [len(one) for one, _ in compared] == [32]
    assert all(isinstance(place, int) for place in ring._found)
    assert not re.search("digest", repr(ring.find(b"text")))
