"""Asking runners over HTTP; whatever they answer is understood or ignored."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from modelrunner.gateway.hold.runners import HttpRunners, Readiness
from modelrunner.gateway.messages import Endpoint


class Runner:
    """A runner that answers with `status` and `body` and notes what it is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b'{"state": "ready", "reason": "Ready", "message": "", "slots": 4}'
        self.asked: list[tuple[str, bytes]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Part of aiohttp's low-level server."""
        self.asked.append((str(request.rel_url), await request.read()))
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def runner() -> Runner:
    """What it says may be changed."""
    return Runner()


@pytest.fixture
async def endpoint(runner: Runner) -> AsyncIterator[Endpoint]:
    """Where it listens."""
    server = web.ServerRunner(web.Server(runner.answer))
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    port = server.addresses[0][1]
    yield Endpoint("runner", ("127.0.0.1", port))
    await server.cleanup()


@pytest.fixture
async def runners() -> AsyncIterator[HttpRunners]:
    """The gateway's side."""
    async with HttpRunners("gateway-1") as found:
        yield found


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"slots": 4}', Readiness(ready=True, slots=4)),
        (200, b"ok", Readiness(ready=True)),
        (200, b"[]", Readiness(ready=True)),
        (200, b'{"slots": null}', Readiness(ready=True)),
        (200, b'{"slots": true}', Readiness(ready=True)),
        (200, b'{"slots": 0}', Readiness(ready=True)),
        (
            503,
            b'{"state": "loading", "reason": "Starting", "message": ""}',
            Readiness(ready=False, words="Starting"),
        ),
        (
            503,
            b'{"state": "failed", "reason": "EngineFailed", "message": "no CUDA", "slots": 2}',
            Readiness(ready=False, slots=2, words="no CUDA"),
        ),
        (503, b"x" * 1_000_000, Readiness(ready=False)),
        (301, b"", Readiness(ready=False)),
        (404, b"{}", Readiness(ready=False)),
    ],
)
async def test_what_a_runner_answers(
    runners: HttpRunners,
    runner: Runner,
    endpoint: Endpoint,
    status: int,
    body: bytes,
    expected: Readiness,
) -> None:
    """Only 200 is ready; slots and words are taken where they make sense."""
    runner.status, runner.body = status, body
    assert await runners.readiness(endpoint) == expected
    assert runner.asked == [("/readyz?wait=2", b"")]


async def test_a_runner_that_is_not_there_is_not_ready(runners: HttpRunners) -> None:
    """Refused connections and connections that end are no errors here."""
    # Bound, so that nobody else takes the port, and without a listener.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
        assert await runners.readiness(Endpoint("gone", address)) == Readiness(ready=False)
        await runners.report(Endpoint("gone", address), 3)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        assert await runners.readiness(Endpoint("odd", address)) == Readiness(ready=False)


async def test_a_runner_hears_how_many_wait(
    runners: HttpRunners, runner: Runner, endpoint: Endpoint
) -> None:
    """And at which replica, so that the numbers of several add up."""
    await runners.report(endpoint, 7)
    assert runner.asked == [("/held", b'{"gateway": "gateway-1", "held": 7}')]


async def test_the_back_office_is_no_runner(runners: HttpRunners) -> None:
    """A defect of ours is raised, not taken for a runner that is away."""
    with pytest.raises(TypeError, match="no runner"):
        await runners.readiness(Endpoint("office", "/run/office.sock"))


@pytest.mark.parametrize(
    ("status", "body", "template"),
    [
        (200, b'{"template": "{{ messages }}", "details": {}}', "{{ messages }}"),
        (200, b'{"template": "' + b"x" * 100_000 + b'"}', "x" * 100_000),
        (200, b'{"template": "' + b"x" * 1_000_000 + b'"}', ""),
        (200, b'{"template": 3}', ""),
        (200, b"[]", ""),
        (200, b"{", ""),
        (404, b'{"template": "of an error"}', None),
    ],
    ids=range(7),
)
async def test_the_template_of_a_runner(
    runners: HttpRunners,
    runner: Runner,
    endpoint: Endpoint,
    status: int,
    body: bytes,
    template: str | None,
) -> None:
    """It is asked as any client of Ollama's asks; what is odd is none, an error tells nothing."""
    runner.status, runner.body = status, body
    assert await runners.template(endpoint, "ml/smol") == template
    assert runner.asked == [("/api/show", b'{"model": "ml/smol"}')]


async def test_nobody_tells_a_template(runners: HttpRunners) -> None:
    """A runner that is away, or hangs: then nobody waits as long as for other questions."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
        assert await runners.template(Endpoint("gone", address), "ml/smol") is None
    there, over, ended = asyncio.Event(), asyncio.Event(), list[str]()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        other = asyncio.create_task(runners.readiness(Endpoint("hangs", address)))
        other.add_done_callback(lambda _: ended.append("readiness"))
        await there.wait()
        assert await runners.template(Endpoint("hangs", address), "ml/smol") is None
        ended.append("template")
        over.set()
        await other
    assert ended == ["template", "readiness"]
