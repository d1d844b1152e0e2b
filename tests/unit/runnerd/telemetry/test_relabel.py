"""Prometheus text with more labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from runnerd.telemetry.relabel import relabel

LABELS = {"model": "m", "engine": "e"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", 'a{model="m",engine="e"} 1'),
        ("a{} 1", 'a{model="m",engine="e"} 1'),
        ('a:b{x="y"} 1.5e3 1700', 'a:b{model="m",engine="e",x="y"} 1.5e3 1700'),
        ('a{x="}, \\"{",} +Inf', 'a{model="m",engine="e",x="}, \\"{"} +Inf'),
        ('a{engine="0",le="1"} NaN', 'a{model="m",engine="e",exported_engine="0",le="1"} NaN'),
        ("# HELP a Words {here}", "# HELP a Words {here}"),
        ("# TYPE a counter", "# TYPE a counter"),
        ('a{x="1"} 1 # {trace_id="}"} 0.5 1.7', 'a{model="m",engine="e",x="1"} 1'),
        ("a 1 # {} 0.5", 'a{model="m",engine="e"} 1'),
        ("a 1 -5\r", 'a{model="m",engine="e"} 1 -5'),
        ('a{x="\u2028\x0b"} 1', 'a{model="m",engine="e",x="\u2028\x0b"} 1'),
        ('a{x="\\\\"} -Inf', 'a{model="m",engine="e",x="\\\\"} -Inf'),
        ('a{model="",model2="b"} 0', 'a{model="m",engine="e",exported_model="",model2="b"} 0'),
        ("# HELP a", "# HELP a"),
        ("# TYPE a foo", ""),
        ("# TYPE a", ""),
        ("# HELP 1 x", ""),
        ("a 1_0", ""),
        ("a \u0661", ""),
        ("a 1 2 3", ""),
        ("1a 1", ""),
        ("# a comment", ""),
        ("# EOF", ""),
        ("", ""),
        ("<html>", ""),
        ("a one", ""),
        ('a{x="open} 1', ""),
    ],
)
def test_lines(line: str, expected: str) -> None:
    """Samples get the labels, a label of the same name is kept beside, rubbish is left out."""
    assert relabel(line, LABELS) == (f"{expected}\n" if expected else "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value(value: str) -> None:
    """Whatever a label's value holds, Prometheus reads the same value back."""
    text = relabel("# TYPE a gauge\na 1\n", {"model": value})
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"model": value}
