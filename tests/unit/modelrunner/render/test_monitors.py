"""The desired ServiceMonitor."""

import pytest

from modelrunner.domain import naming
from modelrunner.domain.effective import MonitoringSettings
from modelrunner.render import monitors
from modelrunner.render.common import Owner


@pytest.mark.parametrize("name", ["gpu", "x" * 253])
def test_the_monitor_finds_all_services_of_its_runner(name: str) -> None:
    """By label, with the user's own labels for Prometheus."""
    settings = MonitoringSettings(service_monitor=True, interval="5s", labels={"release": "p"})
    found = monitors.service_monitor("ml", Owner("ModelRunner", name, "u"), settings)
    assert len(found["metadata"]["name"]) <= 253
    assert found["metadata"]["labels"]["release"] == "p"
    assert found["spec"]["selector"]["matchLabels"][naming.RUNNER_LABEL] == name
    (endpoint,) = found["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", "/metrics", "5s")
