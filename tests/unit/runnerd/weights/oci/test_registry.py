"""Several connections to one registry, whose tokens end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from runnerd.weights.failure import DeniedError
from runnerd.weights.http_session import new_session
from runnerd.weights.oci.credentials import Keyring
from runnerd.weights.oci.registry import Endpoint
from tests.support.web_apps import listening

CONNECTIONS = 4


class _Registry:
    """Believes the newest token only; `barrier` holds requests with another until all are there."""

    def __init__(self) -> None:
        self.port = 0
        self.given = 0
        self.good = True
        self.barrier = asyncio.Barrier(CONNECTIONS)

    @asynccontextmanager
    async def endpoint(self) -> AsyncIterator[Endpoint]:
        app = web.Application()
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/{rest:.*}", self._blob)
        async with listening(app) as self.port, new_session(30.0) as session:
            base = f"http://127.0.0.1:{self.port}"
            yield Endpoint(session, base, name="r", repository="a/b", keyring=Keyring())

    async def _token(self, request: web.Request) -> web.Response:
        del request
        self.given += 1
        return web.json_response({"token": f"t{self.given}"})

    async def _blob(self, request: web.Request) -> web.Response:
        if self.good and request.headers.get("Authorization") == f"Bearer t{self.given}":
            return web.Response(text="content")
        await self.barrier.wait()
        challenge = f'Bearer realm="http://127.0.0.1:{self.port}/token"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})


async def _read(endpoint: Endpoint) -> str:
    async with endpoint.get("blobs/sha256:0", {}) as response:
        return await response.text()


async def test_a_token_is_renewed_once_for_all_connections() -> None:
    """All are refused at once, one asks for a token, and all go on with it: at first and later."""
    registry = _Registry()
    async with registry.endpoint() as endpoint:
        for round_ in (1, 2):
            found = await asyncio.gather(*(_read(endpoint) for _ in range(CONNECTIONS)))
            assert found == ["content"] * CONNECTIONS
            assert registry.given == round_
            # What the registry gave ends; somebody who keeps asking for tokens would get another.
            endpoint.authorization = "Bearer t0"


async def test_tokens_that_open_nothing() -> None:
    """Each connection is refused twice at most, and nobody asks for ever."""
    registry = _Registry()
    registry.good = False
    async with registry.endpoint() as endpoint:
        found = await asyncio.gather(
            *(_read(endpoint) for _ in range(CONNECTIONS)), return_exceptions=True
        )
    assert all(isinstance(one, DeniedError) for one in found)
    assert registry.given == 1


@pytest.mark.parametrize("data", [b"", None])
async def test_an_upload_renews_as_well(data: bytes | None) -> None:
    """What is sent is refused like what is read, and shares the token."""
    registry = _Registry()
    async with registry.endpoint() as endpoint:

        async def send() -> int:
            response = await endpoint.send("GET", endpoint.url("blobs/x"), {}, lambda: data)
            response.close()
            return response.status

        assert await asyncio.gather(*(send() for _ in range(CONNECTIONS))) == [200] * CONNECTIONS
    assert registry.given == 1
