"""/healthz, /readyz and /metrics of the operator process, leader or standby."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from modelrunner.telemetry.metrics import CONTENT_TYPE, Metrics


@dataclass(frozen=True, slots=True)
class Report:
    """What a probe is told: `ok` decides the status code, `details` are for people."""

    ok: bool
    details: Mapping[str, object] = field(default_factory=dict)


def application(
    metrics: Metrics, *, health: Callable[[], Report], ready: Callable[[], Report]
) -> web.Application:
    """The three routes; nothing else, nothing that waits."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(health())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready())

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(client_max_size=4096)
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]
    )
    return app


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


def _answer(report: Report) -> web.Response:
    body = {"ok": report.ok, **report.details}
    return web.json_response(body, status=200 if report.ok else 503)
