"""docs/reference/operator-metrics.md tells every metric of the operator and of a pull."""

import re

from prometheus_client.core import Metric
from prometheus_client.registry import CollectorRegistry

from modelrunner.domain.downloads import PullEnd
from modelrunner.telemetry.metrics import Metrics
from runnerd.weights.clock import SystemClock
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.server import PullCollector
from tests.cluster.settings import ROOT

PAGE = (ROOT / "docs/reference/operator-metrics.md").read_text("utf-8")
# What the process adds: its own code names them.
PROCESS = (ROOT / "operator/src/modelrunner/manager/process.py").read_text("utf-8")


def _told(heading: str) -> dict[str, list[str]]:
    part = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(modelrunner_\w+)` \|([^|]*)\|", part, re.MULTILINE)
    return {name: re.findall(r"\w+", labels) for name, labels in rows}


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_every_metric_of_the_operator_is_told() -> None:
    """A person who writes an alert needs no code to read; nothing is told that is not there."""
    metrics = Metrics()
    families = {_name(family) for family in metrics.registry.collect()}
    mine = {name for name in families if name.startswith("modelrunner_")}
    mine |= set(re.findall(r'"(modelrunner_[a-z_]+)"', PROCESS))
    assert set(_told("The operator")) == mine


def test_labels_of_pulls_are_told() -> None:
    """As they are exposed."""
    metrics = Metrics()
    metrics.pulls.ended(PullEnd(job="j", source="oci", result="success", finished_at=0.0))
    told = _told("The operator")
    seen = 0
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name in told and sample.labels:
                assert sorted(told[sample.name]) == sorted(sample.labels), sample.name
                seen += 1
    assert seen == 4


def test_every_metric_of_a_pull_is_told() -> None:
    """Each with the kind of its source."""
    registry = CollectorRegistry()
    registry.register(PullCollector(ProgressMeter(SystemClock()), "oci"))
    families = list(registry.collect())
    assert {_name(family) for family in families} == set(_told("A pull, while it runs"))
    for family in families:
        assert [sample.labels for sample in family.samples] == [{"source": "oci"}]
