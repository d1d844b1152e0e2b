"""Who is shown which credentials."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.auth import Authorizer
from runnerd.weights.oci.credentials import Keyring, parse_keyring

LOGIN = json.dumps({"auths": {"r.example.com": {"username": "u", "password": "p"}}}).encode()
TOKEN = json.dumps({"auths": {"r.example.com": {"registrytoken": "abc"}}}).encode()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Never used: everything here is decided before a request."""
    async with aiohttp.ClientSession() as session:
        yield session


def _authorizer(
    session: aiohttp.ClientSession, secret: bytes | None, *, secure: bool = True
) -> Authorizer:
    keyring = parse_keyring(secret, "the Secret s", "s") if secret else Keyring()
    return Authorizer(
        session=session,
        registry="r.example.com",
        repository="a/b",
        actions="pull",
        keyring=keyring,
        secure=secure,
    )


async def test_basic(session: aiohttp.ClientSession) -> None:
    """A name and a password, encoded, when the registry asks for them."""
    found = await _authorizer(session, LOGIN).authorize(['Basic realm="x"'])
    assert found == "Basic dTpw"


async def test_registry_token(session: aiohttp.ClientSession) -> None:
    """A token that is for the registry itself goes to no token server."""
    found = await _authorizer(session, TOKEN).authorize(['Bearer realm="https://t.example.com"'])
    assert found == "Bearer abc"


@pytest.mark.parametrize("realm", ["http://t.example.com/token", "ftp://t", "/token", ""])
async def test_passwords_stay_encrypted(session: aiohttp.ClientSession, realm: str) -> None:
    """A registry behind https cannot send its users to a token server that is not."""
    with pytest.raises(WeightsError, match="it has to be an https:// URL"):
        await _authorizer(session, LOGIN).authorize([f'Bearer realm="{realm}"'])


async def test_what_is_said_to_whom(session: aiohttp.ClientSession) -> None:
    """Without a Secret which field to set; with one, whose password to look at."""
    bare = _authorizer(session, None).denied(401)
    assert "spec.source.credentialsSecret" in str(bare)
    assert not bare.retryable
    refused = _authorizer(session, LOGIN).denied(403)
    assert "(403) to u: check" in str(refused)
    assert refused.retryable
    assert "the token's owner" in str(_authorizer(session, TOKEN).denied(401))
