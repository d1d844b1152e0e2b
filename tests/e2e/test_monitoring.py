"""A real Prometheus reads what the product exposes."""

import pytest

from tests.cluster.progress import Progress
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.prometheus import Prometheus, ensure_prometheus, query
from tests.support.stack import SYSTEM_NAMESPACE, Stack

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def prometheus() -> Prometheus:
    """The programs of Prometheus."""
    return ensure_prometheus(Progress())


def test_prometheus_scrapes_a_runner_with_its_own_labels(
    stack: Stack, default_runner: str, prometheus: Prometheus
) -> None:
    """Scraped as the ServiceMonitor says, samples carry namespace, model, runner and engine."""
    stack.apply(manifests.model(default_runner, "scraped", stack.http_source()))
    stack.wait_for(default_runner, "scraped", ready=True)
    with stack.client(default_runner, "scraped") as client:
        client.post("/v1/chat/completions", json=chat("scraped"))
        assert prometheus.check(_own(client.get("/metrics").text, "runnerd_")) == ""
    wanted = f'model="scraped",runner="default",namespace="{default_runner}",engine="llama.cpp"'
    with stack.address(default_runner, "scraped") as url:
        job = {
            "job_name": "runner",
            "scrape_interval": "1s",
            "honor_labels": True,
            # What the Prometheus Operator adds to every target of a ServiceMonitor.
            "static_configs": [
                {"targets": [url.removeprefix("http://")], "labels": {"namespace": "scraper"}}
            ],
        }
        with prometheus.scraping([job]) as server:
            both = f"runnerd_requests_total{{{wanted}}} and on(model) "
            both += f"llamacpp:tokens_predicted_total{{{wanted}}}"
            stack.wait("samples", lambda: bool(query(server, both)))


def test_operator_metrics_are_well_formed(stack: Stack, prometheus: Prometheus) -> None:
    """`promtool check metrics` finds nothing to say about the operator's own families."""
    (pod, *_) = stack.objects("pods", SYSTEM_NAMESPACE, "app.kubernetes.io/component=operator")
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{name}:8080/proxy/metrics"
    text = stack.api.http.get(path).text
    for family in ("modelrunner_reconcile_total", "modelrunner_leader", "modelrunner_api_writes"):
        assert family in text
    assert prometheus.check(_own(text, "modelrunner_")) == ""


def _own(text: str, prefix: str) -> str:
    """The lines of our own families."""
    lines = [
        line
        for line in text.splitlines()
        if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(prefix)
    ]
    return "\n".join(lines) + "\n"
