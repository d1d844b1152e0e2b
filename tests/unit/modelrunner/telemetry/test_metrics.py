"""The operator's metrics."""

from typing import NamedTuple

from modelrunner.telemetry.metrics import Metrics


class Key(NamedTuple):
    """What a queue's observer is given."""

    kind: str


def test_reconciles_are_counted_by_kind_and_result() -> None:
    """And their duration is a histogram."""
    metrics = Metrics()
    metrics.finished(Key("Model"), "error", 0.2)
    text = metrics.render().decode()
    assert 'modelrunner_reconcile_total{kind="Model",result="error"} 1.0' in text
    assert 'modelrunner_reconcile_seconds_count{kind="Model"} 1.0' in text


def test_scale_steps_are_counted_by_direction_and_result() -> None:
    """How often a model sleeps, and how often somebody was first."""
    metrics = Metrics()
    metrics.scaled("down", "busy")
    text = metrics.render().decode()
    assert 'modelrunner_scale_steps_total{direction="down",result="busy"} 1.0' in text


def test_gauges_are_read_when_they_are_asked_for() -> None:
    """None leaves a gauge out; labelled ones follow their source."""
    metrics = Metrics()
    values: dict[str, float] = {}
    depth: list[float | None] = [None]
    metrics.gauge("depth", "Depth.", lambda: depth[0])
    metrics.gauges("models", "Models.", "phase", lambda: values)
    assert "\ndepth " not in metrics.render().decode()
    depth[0] = 3
    values["Ready"] = 2
    text = metrics.render().decode()
    assert "\ndepth 3.0" in text
    assert 'models{phase="Ready"} 2.0' in text


def test_two_processes_in_one_test_do_not_share_metrics() -> None:
    """No globals: a registry per object."""
    first, second = Metrics(), Metrics()
    first.leader.set(1)
    assert "modelrunner_leader 1.0" in first.render().decode()
    assert "modelrunner_leader 0.0" in second.render().decode()
    assert "process_resident_memory_bytes" in first.render().decode()
