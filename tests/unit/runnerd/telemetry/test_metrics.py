"""The runner's own families."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from modelrunner_protocol.reasons import Reason
from runnerd.telemetry.metrics import Metrics
from tests.support.scripted_runner import CONFIG


def test_families() -> None:
    """Everything counted is rendered once, parses, and carries the same four labels."""
    metrics = Metrics(CONFIG)
    for status in (200, 201, 404, 499, 503):
        metrics.answered("completions", status, 0.2)
    metrics.first_byte("completions", 0.1)
    metrics.restarted(Reason.OUT_OF_MEMORY)
    metrics.stage("load", 1.5)
    metrics.turned_away(stopping=False)
    metrics.overridden()
    engine = "bad\nllamacpp:n 4\n"
    text = metrics.render(ready=True, closed=False, in_flight=3, waiting=1, held=7, engine=engine)
    samples = {
        (sample.name, sample.labels.get("status") or sample.labels.get("reason", "")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["runnerd_requests_total", "2xx"].value == 2
    assert samples["runnerd_requests_total", "499"].value == 1
    assert samples["runnerd_engine_restarts_total", "OutOfMemory"].value == 1
    assert samples["runnerd_in_flight", ""].value == 3
    assert samples["runnerd_ready", ""].value == 1
    assert samples["runnerd_closed", ""].value == 0
    assert samples["runnerd_held", ""].value == 7
    assert samples["runnerd_turned_away_total", "closed"].value == 1
    assert samples["runnerd_turned_away_total", "stopping"].value == 0
    assert samples["runnerd_keep_alive_overrides_total", ""].value == 1
    assert samples["llamacpp:n", ""].value == 4
    assert not [name for name, _ in samples if name.endswith("_created")]
    common = {"namespace": "ml", "model": "smol", "runner": "cpu", "engine": "llama.cpp"}
    assert all(common.items() <= sample.labels.items() for sample in samples.values())


def test_stand_alone() -> None:
    """Without a namespace samples are told apart by backend, model and mode."""
    text = Metrics(replace(CONFIG, namespace="")).render(
        ready=True, closed=False, in_flight=0, waiting=0, held=0, engine="llamacpp:n 1\n"
    )
    labels = f'backend="llama.cpp",model="{CONFIG.model}",mode="completion"'
    assert f"llamacpp:n{{{labels}}} 1" in text
    assert f"runnerd_ready{{{labels}}} 1.0" in text
