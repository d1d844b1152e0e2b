"""The front: pages in their order, errors in the caller's words, every answer signed."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from modelrunner_protocol.origins import LOCAL, parse_origins
from runnerd.server.connection import Server
from runnerd.server.dialects import Dialect, reject
from runnerd.server.listener import open_listener
from runnerd.server.port import Port
from runnerd.server.shelf import Shelf
from runnerd.standalone.front import Front
from runnerd.standalone.pages import Page, RefusedError, body_of

if TYPE_CHECKING:
    from runnerd.standalone.inference import Inferences

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Nothing:
    """A stock without models, and no model to ask."""

    async def all(self) -> list[Any]:
        """None."""
        return []

    async def loaded(self) -> list[Any]:
        """None."""
        return []

    async def find(self, _: str) -> None:
        """None."""


async def _echo(request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
    return web.json_response({**groups, "body": (await body_of(request, 100)).decode()})


async def _fail(_: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
    raise RuntimeError("a secret")


async def _refuse(_: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
    raise RefusedError(reject(409, "in use"), 3)


async def _stream(request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one\n")
    return response


PAGES = (
    Page("/models/(?P<name>.+)/tag", {"POST": _echo}, Dialect.DOCKER),
    Page("/models/(?P<name>.+)", {"GET": _stream}, Dialect.DOCKER),
    Page("/fail", {"GET": _fail}),
    Page("/api/fail", {"GET": _fail}, Dialect.OLLAMA),
    Page("/refuse", {"GET": _refuse}, Dialect.ANTHROPIC),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[ClientSession]:
    """A client of a front with these pages."""
    nobody = cast("Inferences", None)
    front = Front(parse_origins(LOCAL), nobody, PAGES, Shelf(Nothing(), "not here"))
    port = Port(open_listener(0, 10), Server(front.answer, 10, front.sign))
    async with ClientSession(f"http://127.0.0.1:{await port.open()}") as session:
        yield session
    await port.close(0)


async def test_first_page_that_matches(client: ClientSession) -> None:
    """A page before another one answers; a slash in a name is part of it, however written."""
    for name in ("ai/x", "ai%2Fx"):
        async with client.post(f"/models/{name}/tag", data=b"hi") as answer:
            assert await answer.json() == {"name": "ai/x", "body": "hi"}
    async with client.get("/models/ai/x/tag") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_long_body(client: ClientSession) -> None:
    """The bound of a page is told in the page's words."""
    async with client.post("/models/x/tag", data=b"x" * 101) as answer:
        assert answer.status == 413
        assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/fail", {"error"}), ("/api/fail", {"error"}), ("/refuse", {"type", "error"})],
)
async def test_errors(client: ClientSession, path: str, shape: set[str]) -> None:
    """An error of ours tells nothing of our insides; a refusal tells all."""
    async with client.get(path) as answer:
        assert (answer.status, set(await answer.json())) == (
            409 if "refuse" in path else 500,
            shape,
        )
        assert "secret" not in await answer.text()
        assert ("Retry-After" in answer.headers) == ("refuse" in path)


@pytest.mark.parametrize("path", ["/models/x", "/fail", "/nothing", "/api/tags", "/refuse", "/"])
async def test_signed(client: ClientSession, path: str) -> None:
    """Every answer, be it a stream or an error, says what it is from, and that it may be read."""
    async with client.get(path, headers={"Origin": "http://localhost:1"}) as answer:
        assert answer.headers["X-Docker-Model-Runner"] == "true"
        assert answer.headers["Server"] == "runnerd"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:1"
    async with client.get(path) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_origins(client: ClientSession, method: str) -> None:
    """A page of elsewhere is sent away before anything else is looked at."""
    async with client.request(method, "/fail", headers={"Origin": "http://x"}) as answer:
        assert (answer.status, await answer.text()) == (403, "Origin not allowed\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/models", "There is nothing at /models\n"),
        ("/engines/x", "There is nothing at /engines/x\n"),
        ("/api/x", '{"error": "There is nothing at /api/x"}'),
    ],
)
async def test_nothing_there(client: ClientSession, path: str, text: str) -> None:
    """404 in the words of those who ask below such a path."""
    async with client.get(path) as answer:
        assert (answer.status, await answer.text()) == (404, text)


async def test_unmanaged(client: ClientSession) -> None:
    """What no page does is 501 with the reason."""
    async with client.post("/api/create", json={}) as answer:
        assert (answer.status, await answer.json()) == (501, {"error": "not here"})
