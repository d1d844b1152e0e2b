"""No value breaks out of its place in a template."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.render.documents import RenderError, render, to_json

TEXTS = st.text(max_size=60) | st.sampled_from(
    [
        'x"\n  privileged: true\n#',
        "{{ 7 * 7 }}",
        "{% raw %}",
        "on",
        "null",
        "1e3",
        "!!python/object:os.system",
        "&a *a",
        "- x",
        "\u2028\u0085\ufeff\x7f\x00",
        "${X} $(Y)",
        "🦙" * 10,
        "# comment",
        "key: value",
    ]
)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_is_read_back_as_it_was(value: Any) -> None:
    """By YAML's own parser, as a value in a document and in a flow list."""
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        text = f"a:\n  - b: {to_json(value)}\n    c: [{to_json(value)}]\n"
        found = yaml.load(text, Loader=loader)  # both are safe
        assert found == {"a": [{"b": value, "c": [value]}]}


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_an_object_keeps_its_fields(name: str, labels: dict[str, str]) -> None:
    """Whatever a name and labels hold, the object has the template's fields and no other."""
    found = render(
        "service",
        name=name,
        namespace="ml",
        labels=labels,
        annotations={},
        owners=[],
        selector=labels,
        port_name="http",
    )
    assert set(found) == {"apiVersion", "kind", "metadata", "spec"}
    assert found["metadata"] == {
        "name": name,
        "namespace": "ml",
        "labels": labels,
        "annotations": {},
        "ownerReferences": [],
    }
    assert set(found["spec"]) == {"type", "selector", "ports"}


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), b"x", {1: "x"}, {"k" * 2000: 1}, object(), "\ud800"]
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    """Floats included: 1e16 would come back as a string."""
    with pytest.raises(RenderError):
        to_json(value)


def test_a_variable_that_is_missing_is_an_error() -> None:
    """A template never renders half."""
    with pytest.raises(RenderError, match="Undefined"):
        render("service", name="x")


def test_json_escapes() -> None:
    """What YAML would take for a line break is escaped."""
    assert to_json("a\u2028b") == '"a\\u2028b"'
    assert json.loads(to_json("🦙\x85")) == "🦙\x85"
