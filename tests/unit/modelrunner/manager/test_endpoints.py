"""The HTTP endpoints of the operator process."""

import aiohttp

from modelrunner.manager.endpoints import application
from modelrunner.telemetry.metrics import Metrics
from modelrunner.telemetry.probes import Report, serving


async def test_probes_and_metrics_are_served() -> None:
    """Status codes for the kubelet, JSON for people, text for Prometheus."""
    answers = [Report(ok=True, details={"role": "standby"}), Report(ok=False)]
    app = application(Metrics(), health=lambda: answers[0], ready=lambda: answers[1])
    async with (
        serving(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        async with http.get("/healthz") as health:
            assert health.status == 200
            assert await health.json() == {"ok": True, "role": "standby"}
        async with http.get("/readyz") as ready:
            assert ready.status == 503
        async with http.get("/metrics") as metrics:
            assert metrics.content_type == "text/plain"
            assert "modelrunner_leader" in await metrics.text()
        async with http.get("/") as nothing:
            assert nothing.status == 404
