"""docs/reference/gateway.md tells every metric, every field of the access log, every path."""

import json
import re

from prometheus_client.parser import text_string_to_metric_families

from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.routing.paths import ENGINES, ROUTES
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.access_log import AccessLog
from modelrunner.gateway.telemetry.exchange import Exchange
from modelrunner.gateway.telemetry.exposition import Exposition, Sources
from modelrunner.gateway.telemetry.meters import Meters
from tests.cluster.settings import ROOT

PAGE = (ROOT / "docs/reference/gateway.md").read_text("utf-8")
# What the process adds: its own code names them (gateway/process.py).
PROCESS = (ROOT / "operator/src/modelrunner/gateway/process.py").read_text("utf-8")


def done(entry: ModelEntry) -> Exchange:
    """A request that tells all it can."""
    found = Exchange(b"id", "10.0.0.9", "POST", "chat_completions", "openai", 1.0)
    found.entry, found.status, found.stream, found.endpoint = entry, 200, True, "pod"
    found.first_byte_at, found.held, found.outcome = 1.5, 0.2, "client_left"
    return found


async def test_every_metric_is_told_with_its_labels() -> None:
    """A person who writes an alert needs no code to read."""
    entry = ModelEntry("ml", "smollm2", "u", ready=[Endpoint("pod", ("10.0.0.1", 80))])
    entry.status = {"startup": {"totalSeconds": 1.0}}
    meters = Meters()
    meters.finished(done(entry), 2.0, b'{"usage":{"prompt_tokens":1,"completion_tokens":2}}')
    meters.refused("bad_request")
    meters.wake(entry, "ready", 1.0)
    sources = Sources(lambda: [entry], lambda: 0.0, {"version": "1", "loop": "uvloop"})
    sources.lag.observe(0.1)
    exposition = Exposition(meters, sources)
    exposition.writes.labels(verb="patch", resource="deployments.apps").inc()
    rows = {
        name: {one.strip() for one in labels.split(",") if one.strip()}
        for names, labels in re.findall(r"^\| (`modelrunner_[^|]+) \|([^|]*)\|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    seen = {}
    for family in text_string_to_metric_families((await exposition.render()).decode()):
        # prometheus_client tells of each counter of its own when it began.
        ours = family.name.startswith("modelrunner_") and not family.name.endswith("_created")
        if ours and family.samples:
            name = family.name + ("_total" if family.type == "counter" else "")
            seen[name] = set(family.samples[0].labels) - {"le"}
    assert {name: rows.get(name) for name in seen} == seen
    for name in rows.keys() - seen.keys():
        short = name.removeprefix("modelrunner_gateway_")
        watched = re.fullmatch(r"watch_(\w+)_total", short)
        assert f'"{watched[1] if watched else short}"' in PROCESS, name


def test_every_field_of_the_access_log_is_told() -> None:
    """And nothing is told that is not there."""
    written: list[bytes] = []
    exchange = done(ModelEntry("ml", "smollm2", "u"))
    exchange.tokens_in = exchange.tokens_out = 1
    AccessLog(1.0, written.append)(exchange, 2.0)
    section = PAGE.partition("## Access log")[2]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == set(json.loads(written[0]))


def test_every_path_of_a_model_is_told() -> None:
    """In the spelling without a prefix; the prefixes are told once."""
    plain = {path for path in ROUTES if not path.startswith(("/engines", "/anthropic"))}
    section = PAGE.partition("## Lists")[0]
    assert {path for path in plain if f"`{path}`" not in section} == set()
    assert all(f"`/engines/{engine}`" in section for engine in ENGINES)
