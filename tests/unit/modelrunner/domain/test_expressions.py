"""Jinja in users' strings: what it may do, and that it can do nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.expressions import ExpressionError, Variables, expand

ALL = Variables(model="m", namespace="ml", runner="gpu", format="gguf")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ model.name }}", "m"),
        ("{{model.namespace}}/{{ runner.name | upper }}", "ml/GPU"),
        ("{{ model.format }}\n", "gguf\n"),
        ('{{ "{{" }} stays', "{{ stays"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{# gone #}left", "left"),
        ("$(HOME) ${X} %s", "$(HOME) ${X} %s"),
    ],
)
def test_what_it_may_do(text: str, value: str) -> None:
    """Variables, three filters, and text that only looks like a template."""
    assert expand(text, ALL, "p") == value


@pytest.mark.parametrize(
    "text",
    [
        "{{ model.nmae }}",
        "{{ nothing }}",
        "{{ model }}",
        "{{ model.name.__class__ }}",
        "{{ model['name'] }}",
        "{{ model.items }}",
        "{{ range }}",
        "{{ lipsum }}",
        "{{ self }}",
        "{{ 'x' * 999999999 }}",
        "{{ 9 ** 99999 }}",
        "{% for i in range(99) %}x{% endfor %}",
        "{% set x = 1 %}",
        "{% include 'x' %}",
        "{{ model.name | replace('m', 'mm') }}",
        "{{ model.name() }}",
        "{{ model.name",
        "{{ }}",
        "{% if %}",
    ],
)
def test_what_it_may_not_do(text: str) -> None:
    """Everything else is an error that names the place and what is allowed."""
    with pytest.raises(ExpressionError, match=r"^spec\.env\[0\]: .*model\.name"):
        expand([text], ALL, "spec.env")


def test_all_strings_of_a_value() -> None:
    """Lists and objects are walked; keys, numbers and booleans are left alone."""
    value = {"{{ x }}": ["{{ model.name }}", 1, True, None, {"a": "{{ runner.name }}"}]}
    assert expand(value, ALL, "p") == {"{{ x }}": ["m", 1, True, None, {"a": "gpu"}]}


@given(st.text(alphabet="{}%#-|'\". model.nameruxX()[]*_", max_size=60))
def test_any_text_is_a_text_or_an_error(text: str) -> None:
    """Nothing else ever comes out."""
    try:
        assert isinstance(expand(text, ALL, "p"), str)
    except ExpressionError:
        return


def test_deep_nesting_is_an_error() -> None:
    """A string of brackets does not overflow the stack."""
    with pytest.raises(ExpressionError):
        expand("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", ALL, "p")
