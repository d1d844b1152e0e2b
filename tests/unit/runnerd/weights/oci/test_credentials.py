"""Logins out of a docker config.json."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.credentials import Keyring, parse_keyring


def _keyring(**auths: dict[str, Any]) -> Keyring:
    return parse_keyring(json.dumps({"auths": auths}).encode(), "the Secret s")


def _login(name: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:p:w".encode()).decode()}


def _user(keyring: Keyring, registry: str, repository: str = "a/b") -> str | None:
    login = keyring.find(registry, repository)
    return login.username if login else None


@pytest.mark.parametrize(
    "key",
    ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io/v2/"],
)
def test_names_of_the_hub(key: str) -> None:
    """What `docker login` and others write for the Docker Hub is the Docker Hub."""
    keyring = _keyring(**{key: _login("me")})
    assert _user(keyring, "docker.io") == "me"
    assert _user(keyring, "ghcr.io") is None


def test_the_longest_key_wins() -> None:
    """A login for a part of a registry before that for all of it; parts are whole words."""
    keyring = _keyring(
        **{
            "r.example.com": _login("all"),
            "https://R.example.com/team": _login("team"),
            "r.example.com:5000": _login("port"),
        }
    )
    assert _user(keyring, "r.example.com", "other/x") == "all"
    assert _user(keyring, "r.example.com", "team/x") == "team"
    assert _user(keyring, "r.example.com", "teams/x") == "all"
    assert _user(keyring, "r.example.com:5000", "team/x") == "port"
    assert keyring.registries == "r.example.com, r.example.com/team, r.example.com:5000"


def test_forms_of_a_login() -> None:
    """Name and password encoded or plain, tokens; an entry of a credential helper is none."""
    keyring = _keyring(
        a=_login("me"),
        b={"username": "u", "password": "p"},
        c={"identitytoken": "i"},
        d={"registrytoken": "r"},
        e={},
    )
    a, b, c, d, e = (keyring.find(name, "x") for name in "abcde")
    assert a is not None
    assert (a.username, a.password) == ("me", "p:w")
    assert b is not None
    assert (b.username, b.password) == ("u", "p")
    assert c is not None
    assert c.identity_token == "i"
    assert d is not None
    assert d.registry_token == "r"
    assert e is None


def test_nobody() -> None:
    """An empty Secret opens nothing, and says so."""
    keyring = _keyring()
    assert (keyring.find("a", "b"), keyring.registries) == (None, "nobody")


def test_logins_are_not_shown() -> None:
    """A login that gets into a log or a message tells nothing."""
    assert "p:w" not in repr(_keyring(a=_login("me")))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_secret_is_read_or_refused(data: bytes) -> None:
    """Whatever a Secret holds, the failure is ours, retryable, and repeats nothing of it."""
    try:
        parse_keyring(data, "the Secret s")
    except WeightsError as error:
        found = error
    else:
        return
    assert found.retryable
    assert "the Secret s does not hold" in str(found)
    assert found.__cause__ is None
