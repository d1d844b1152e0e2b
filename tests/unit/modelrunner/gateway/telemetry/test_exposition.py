"""/metrics: what Prometheus' own parser reads of it."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.telemetry.exposition import Exposition, Sources
from modelrunner.gateway.telemetry.meters import Meters
from tests.unit.modelrunner.gateway.telemetry.exchanges import exchange, model

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(exposition: Exposition) -> Samples:
    """All samples by name and labels; a sample that is there twice is an error."""
    found: Samples = {}
    families = set()
    for family in text_string_to_metric_families((await exposition.render()).decode()):
        assert family.name not in families
        families.add(family.name)
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """A sample's key."""
    return f"modelrunner_gateway_{name}", frozenset(labels.items())


async def test_a_page_tells_counters_gauges_and_the_process() -> None:
    """Every family once, each model's numbers under its name."""
    entry = model(
        ready=[Endpoint("a", ("10.0.0.1", 8080)), Endpoint("b", ("10.0.0.2", 8080), rests_until=9)],
        starting=[Endpoint("c", ("10.0.0.3", 8080))],
        in_flight=3,
        status={"startup": {"scheduledSeconds": 0.1, "engineSeconds": 0.4, "totalSeconds": 0.7}},
    )
    meters = Meters()
    usage = b'{"usage":{"prompt_tokens":30,"completion_tokens":12}}'
    meters.finished(exchange(entry, stream=True, first_byte_at=100.2), 102.0, usage)
    meters.finished(exchange(None, 404, code="model_not_found"), 100.1)
    meters.wake(entry, "ready", 0.7)
    meters.held(entry, 1)
    sources = Sources(lambda: [entry], lambda: 5.0, {"version": "1.2.3", "loop": "uvloop"})
    sources.gauges["connections"] = ("Connections.", lambda: 7)
    sources.counters["access_log_dropped_total"] = ("Dropped lines.", lambda: 2)
    sources.lag.observe(0.002)
    found = await scrape(Exposition(meters, sources))
    its = {"namespace": "ml", "model": "smollm2"}
    chat = {"route": "chat_completions", "dialect": "openai"}
    assert found[of("requests_total", **its, **chat, status="2xx")] == 1
    assert found[of("requests_total", namespace="", model="", **chat, status="4xx")] == 1
    assert found[of("request_seconds_bucket", **its, le="2.5")] == 1
    assert found[of("request_seconds_bucket", **its, le="1.0")] == 0
    assert found[of("request_seconds_count", **its)] == 1
    assert found[of("first_token_seconds_bucket", **its, le="0.25")] == 1
    assert found[of("tokens_total", **its, direction="out")] == 12
    assert found[of("wakes_total", **its, result="ready")] == 1
    assert found[of("cold_start_seconds_sum", **its)] == 0.7
    assert found[of("held", **its)] == 1
    assert found[of("in_flight", **its)] == 3
    states = [
        found[of("endpoints", **its, state=state)] for state in ("ready", "resting", "starting")
    ]
    assert states == [1, 1, 1]
    assert found[of("cold_start_stage_seconds", **its, stage="engine")] == 0.4
    assert found[of("rejected_total", code="model_not_found")] == 1
    assert found[of("connections")] == 7
    assert found[of("access_log_dropped_total")] == 2
    assert found[of("loop_lag_seconds_count")] == 1
    assert any(name == "process_resident_memory_bytes" for name, _ in found)
    assert any(name.endswith("build_info") for name, _ in found)


async def test_a_model_that_nobody_asked_has_no_histograms() -> None:
    """A thousand idle models cost a few lines each."""
    found = await scrape(Exposition(Meters(), Sources(lambda: [model()], lambda: 0.0, {})))
    its = [name for name, at in found if ("model", "smollm2") in at]
    assert set(its) == {"modelrunner_gateway_in_flight", "modelrunner_gateway_endpoints"}


async def test_other_things_happen_while_a_page_is_written() -> None:
    """No request waits for the whole page of many models."""
    entries = [model(f"m{number}") for number in range(50)]
    exposition = Exposition(Meters(), Sources(lambda: entries, lambda: 0.0, {}))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await exposition.render()
    task.cancel()
    assert turns >= 10


async def test_a_name_cannot_leave_its_place() -> None:
    """Whatever stands in a label's value, it is a value."""
    meters = Meters()
    meters.refused('x"} 1\n\\')
    found = await scrape(Exposition(meters, Sources(list, lambda: 0.0, {})))
    assert found[of("rejected_total", code='x"} 1\n\\')] == 1
