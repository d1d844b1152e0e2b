"""Several expositions as one."""

from prometheus_client.parser import text_string_to_metric_families

from runnerd.telemetry.merged import merged

_ONE = """# HELP runnerd_ready 1 while requests are answered
# TYPE runnerd_ready gauge
runnerd_ready{model="a"} 1.0
# HELP t_seconds Time
# TYPE t_seconds histogram
t_seconds_bucket{model="a",le="+Inf"} 2.0
t_seconds_count{model="a"} 2.0
t_seconds_sum{model="a"} 0.5
"""


def test_every_family_once() -> None:
    """A family's samples stand together below one HELP and one TYPE line."""
    text = merged((_ONE, _ONE.replace('"a"', '"b"'), "# TYPE x counter\nx 1\n", ""))
    assert text.count("# TYPE") == 3
    assert text.count("# HELP") == 2
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert {sample.labels["model"] for sample in families["runnerd_ready"].samples} == {"a", "b"}
    assert len(families["t_seconds"].samples) == 6
    lines = text.splitlines()
    assert lines[2:4] == ['runnerd_ready{model="a"} 1.0', 'runnerd_ready{model="b"} 1.0']


def test_samples_without_a_type() -> None:
    """They are kept, under their own name, wherever they stand."""
    text = merged(("a 1\n# TYPE b gauge\nb 2\nc 3\n", 'a{x="y"} 4\n'))
    assert text == '# TYPE b gauge\nb 2\na 1\na{x="y"} 4\nc 3\n'


def test_nothing() -> None:
    """No text is no text."""
    assert merged(()) == ""
