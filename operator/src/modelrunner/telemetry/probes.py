"""What probes are told, and the small servers that tell it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Report:
    """What a probe is told: `ok` decides the status code, `details` are for people."""

    ok: bool
    details: Mapping[str, object] = field(default_factory=dict)


def answer(report: Report) -> web.Response:
    """200 or 503, and the details as JSON."""
    body = {"ok": report.ok, **report.details}
    return web.json_response(body, status=200 if report.ok else 503)


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve while inside; gives the port, which matters when `port` is 0."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_socket(app: web.Application, path: str) -> AsyncIterator[None]:
    """Serve at a Unix socket while inside."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()
