"""What an operator process has used and written so far, by /proc, by itself and by the server."""

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from modelrunner.kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    MODEL_RUNNERS,
    MODELS,
    SERVICE_MONITORS,
    SERVICES,
)
from tests.support.kubeapi import KubeApi
from tests.support.operators import Operator

Counts = Counter[str]
"""Requests by "verb resource", e.g. "patch models.modelrunner.dev/status"."""

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
# What the operator has the right to write, leases aside. Core `events`, which the controllers
# write, are another resource to the API server than its `events.events.k8s.io`.
_OPERATORS: Final = frozenset(
    resource.label
    for resource in (
        *(MODELS, MODEL_RUNNERS, DEPLOYMENTS, JOBS, CLAIMS, SERVICES),
        *(SERVICE_MONITORS, EVENTS),
    )
)
_OWN: Final = re.compile(r"modelrunner_(api_writes|reconcile|queue_depth|queue_running)")
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one moment.

    Attributes:
        at: monotonic seconds.
        cpu: seconds of processor time the process has used.
        own: writes as the operator counts those it sends.
        server: writes as the API server counts those it gets, from everybody.
        reconciles: finished reconciles.
        busy: keys that wait or run.
    """

    at: float
    cpu: float
    own: Counts
    server: Counts
    reconciles: float
    busy: float


def read_counters(api: KubeApi, operator: Operator) -> Counters:
    """All counters now; the processor time first, because asking uses some."""
    at, cpu = time.monotonic(), cpu_seconds(operator.pid)
    own = read_own(operator)
    return Counters(at, cpu, own.own, server_writes(api), own.reconciles, own.busy)


def read_own(operator: Operator) -> Counters:
    """Only what the operator says itself, which is cheaper."""
    own = Counter[str]()
    reconciles = busy = 0.0
    for name, labels, value in _samples(str(operator.get("/metrics")[1]), _OWN):
        if name == "modelrunner_api_writes_total":
            own[f"{labels['verb']} {labels['resource']}"] += int(value)
        elif name == "modelrunner_reconcile_total":
            reconciles += value
        elif name.startswith("modelrunner_queue"):
            busy += value
    return Counters(time.monotonic(), 0.0, own, Counter(), reconciles, busy)


def server_writes(api: KubeApi) -> Counts:
    """Writes that the API server has answered, whoever sent them."""
    found = Counter[str]()
    told = api.http.get("/metrics").text
    for _, labels, value in _samples(told, re.compile("apiserver_request_total")):
        if labels["verb"] in _WRITES:
            group = f".{labels['group']}" if labels["group"] else ""
            below = f"/{labels['subresource']}" if labels["subresource"] else ""
            found[f"{labels['verb']} {labels['resource']}{group}{below}"] += int(value)
    return found


def only_leases(counts: Counts) -> Counts:
    """The writes that keep elections going."""
    return Counter({what: count for what, count in counts.items() if "leases" in what})


def without_leases(counts: Counts) -> Counts:
    """All other writes."""
    return Counter({what: count for what, count in counts.items() if "leases" not in what})


def operators(counts: Counts) -> Counts:
    """Writes of what the operator may write, leases aside; others may have sent some of them."""
    return Counter({what: count for what, count in counts.items() if _resource(what) in _OPERATORS})


def _resource(what: str) -> str:
    return what.partition(" ")[2].partition("/")[0]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident_mib(pid: int) -> float:
    """Memory of a process in RAM."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _samples(text: str, wanted: re.Pattern[str]) -> list[tuple[str, dict[str, str], float]]:
    # The API server tells megabytes; parsing all of it would take longer than what is measured.
    lines = "".join(f"{line}\n" for line in text.splitlines() if wanted.match(line))
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(lines)
        for sample in family.samples
    ]
