"""The form in which a model has to answer."""

from typing import Any

import pytest

from runnerd.responses.formats import text_of
from runnerd.responses.members import AskedWronglyError, Members

SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
NAMED = {"name": "answer_prompt", "description": "d", "schema": SCHEMA, "strict": True}


@pytest.mark.parametrize(
    "text",
    [None, {}, {"format": None}, {"format": {}}, {"format": {"type": "text"}}],
)
def test_text(text: Any) -> None:
    """Nothing is asked of the engine."""
    assert text_of(Members({"text": text})) == ({}, {"format": {"type": "text"}})


def test_a_schema() -> None:
    """It is passed on, and repeated."""
    body, told = text_of(Members({"text": {"format": {"type": "json_schema", **NAMED}}}))
    assert body == {"response_format": {"type": "json_schema", "json_schema": NAMED}}
    assert told == {"format": {"type": "json_schema", **NAMED}}


def test_any_object() -> None:
    """An object's schema, since llama-server does not enforce "json_object"."""
    body, told = text_of(Members({"text": {"format": {"type": "json_object"}}}))
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert told == {"format": {"type": "json_object"}}


def test_verbosity() -> None:
    """A wish that is repeated, and that no template knows."""
    body, told = text_of(Members({"text": {"verbosity": "low"}}))
    assert (body, told["verbosity"]) == ({}, "low")


@pytest.mark.parametrize(
    ("text", "param"),
    [
        (5, "text"),
        ({"verbosity": "loud"}, "text.verbosity"),
        ({"format": 5}, "text.format"),
        ({"format": {"type": "xml"}}, "text.format.type"),
        ({"format": {"type": "json_schema", "schema": SCHEMA}}, "text.format.name"),
        (
            {"format": {"type": "json_schema", "name": "not valid", "schema": SCHEMA}},
            "text.format.name",
        ),
        (
            {"format": {"type": "json_schema", "name": "a" * 65, "schema": SCHEMA}},
            "text.format.name",
        ),
        ({"format": {"type": "json_schema", "name": "answer"}}, "text.format.schema"),
        (
            {"format": {"type": "json_schema", "name": "answer", "schema": []}},
            "text.format.schema",
        ),
        (
            {"format": {"type": "json_schema", **NAMED, "strict": "yes"}},
            "text.format.strict",
        ),
    ],
    ids=range(10),
)
def test_what_is_wrong(text: Any, param: str) -> None:
    """A 400 that names the place. Source: docker/model-runner pkg/responses/transform_test.go."""
    with pytest.raises(AskedWronglyError) as raised:
        text_of(Members({"text": text}))
    assert (raised.value.found.status, raised.value.found.param) == (400, param)
