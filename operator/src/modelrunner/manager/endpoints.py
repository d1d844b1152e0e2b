"""/healthz, /readyz and /metrics of the operator process, leader or standby."""

from collections.abc import Callable

from aiohttp import web

from modelrunner.telemetry.metrics import CONTENT_TYPE, Metrics
from modelrunner.telemetry.probes import Report, answer


def application(
    metrics: Metrics, *, health: Callable[[], Report], ready: Callable[[], Report]
) -> web.Application:
    """The three routes; nothing else, nothing that waits."""

    async def healthz(_: web.Request) -> web.Response:
        return answer(health())

    async def readyz(_: web.Request) -> web.Response:
        return answer(ready())

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(client_max_size=4096)
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]
    )
    return app
