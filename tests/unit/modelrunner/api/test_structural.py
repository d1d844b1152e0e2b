"""Pydantic models become schemas that a CustomResourceDefinition may hold."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from modelrunner.api.annotations import Extend, Rule, Rules, list_type, matches
from modelrunner.api.structural import NotStructuralError, structural_schema


class Colour(StrEnum):
    """Colours."""

    RED = "red"
    BLUE = "blue"


class Only(StrEnum):
    """One."""

    ONE = "one"


class Inner(BaseModel):
    """A nested object."""

    size: int = 3


class Open(BaseModel):
    """Keeps what it does not know."""

    model_config = ConfigDict(extra="allow")
    known: str = ""


class Closed(BaseModel):
    """Refuses what it does not know, in Python."""

    model_config = ConfigDict(extra="forbid")
    known: str = ""


class Node(BaseModel):
    """Holds itself."""

    children: list["Node"] = Field(default_factory=list)


def _name(value: object) -> str:
    """A test's name without addresses, which differ from process to process."""
    return re.sub(r" object at 0x[0-9a-f]+", "", str(value))


INT64 = {"type": "integer", "format": "int64"}
CONVERSIONS: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (str | None, {"type": "string"}),
    (int, INT64),
    (Annotated[int, Field(le=10)], {"type": "integer", "format": "int32", "maximum": 10}),
    (
        Annotated[int, Field(gt=0)],
        {"type": "integer", "format": "int64", "minimum": 0, "exclusiveMinimum": True},
    ),
    (
        Annotated[float, Field(lt=1)],
        {"type": "number", "maximum": 1, "exclusiveMaximum": True},
    ),
    (bool, {"type": "boolean"}),
    (
        int | str,
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    ),
    (Literal["a"], {"type": "string", "enum": ["a"]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Colour, {"type": "string", "enum": ["red", "blue"], "description": "Colours."}),
    (Only, {"type": "string", "enum": ["one"], "description": "One."}),
    (list[str], {"type": "array", "items": {"type": "string"}}),
    (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
    (dict[str, Any], {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    (
        Annotated[dict[str, Any], Extend({"properties": {"a": {"type": "string"}}})],
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "x-kubernetes-preserve-unknown-fields": True,
        },
    ),
    (Any, {"x-kubernetes-preserve-unknown-fields": True}),
    (
        Inner,
        {"type": "object", "description": "A nested object.", "properties": {"size": INT64}},
    ),
    (
        Open,
        {
            "type": "object",
            "description": "Keeps what it does not know.",
            "properties": {"known": {"type": "string"}},
            "x-kubernetes-preserve-unknown-fields": True,
        },
    ),
    (
        Closed,
        {
            "type": "object",
            "description": "Refuses what it does not know, in Python.",
            "properties": {"known": {"type": "string"}},
        },
    ),
    (
        Annotated[list[str], list_type("map", "name")],
        {
            "type": "array",
            "items": {"type": "string"},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
    (
        Annotated[str, Rules(Rule("self != ''", "say something"))] | None,
        {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "self != ''", "message": "say something"}],
        },
    ),
    (Annotated[str, Extend({"format": "date-time"})], {"type": "string", "format": "date-time"}),
]


@pytest.mark.parametrize(("kind", "expected"), CONVERSIONS, ids=_name)
def test_a_type_becomes_its_structural_form(kind: Any, expected: dict[str, Any]) -> None:
    """Each Python type has one OpenAPI form that the API server accepts."""
    model = create_model("Holder", field=(kind, ...))
    assert structural_schema(model)["properties"]["field"] == expected


class Words(RootModel[list[str]]):
    """A list."""


class Both(BaseModel):
    """Fields, and a map of the others."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int] = Field(init=False)
    known: str = ""


REFUSALS: list[tuple[Any, str]] = [
    (str | list[str], "use optional fields and a CEL rule"),
    (Inner | Open, "use optional fields and a CEL rule"),
    (tuple[str, int], "use a list"),
    (dict[Annotated[str, Field(max_length=3)], str], "check them in a CEL rule"),
    (Node, "Node holds itself"),
    (Both, "an object has fields or is a map, not both"),
    (Annotated[str, Field(examples=["x"])], "examples is not structural"),
]


@pytest.mark.parametrize(("kind", "words"), REFUSALS, ids=_name)
def test_a_type_without_structural_form_is_refused(kind: Any, words: str) -> None:
    """Generation fails, with the way out, before an API server would."""
    model = create_model("Holder", field=(kind, ...))
    with pytest.raises(NotStructuralError, match=words):
        structural_schema(model)


def test_a_discriminated_union_is_refused() -> None:
    """A tagged union would become oneOf with a discriminator."""

    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    class Holder(BaseModel):
        pet: Annotated[Cat | Dog, Field(discriminator="kind")]

    with pytest.raises(NotStructuralError, match="tagged union"):
        structural_schema(Holder)


def test_a_whole_object_is_an_object() -> None:
    """A custom resource is an object and not a list or a word."""
    with pytest.raises(NotStructuralError, match="Words is not an object"):
        structural_schema(Words)


def test_defaults_stay_in_code() -> None:
    """No default reaches the schema, where the API server would write it into stored objects."""

    class Holder(BaseModel):
        number: int = 3
        text: str | None = None
        items: list[str] = Field(default_factory=list)
        inner: Inner = Inner()

    assert "default" not in str(structural_schema(Holder))


def test_a_field_called_like_a_keyword_is_data() -> None:
    """Properties may be named `title`, `const` or `$defs`."""
    model = create_model("Holder", title=(str, ...), const=(str, ...), default=(str, ...))
    assert list(structural_schema(model)["properties"]) == ["title", "const", "default"]


def test_a_field_speaks_before_its_class() -> None:
    """A field's own description replaces the docstring of the class, lines are joined."""

    class Holder(BaseModel):
        inner: Inner = Field(description="Own\n  words.\n\nMore.")

    assert structural_schema(Holder)["properties"]["inner"]["description"] == "Own words.\n\nMore."


def test_a_rule_is_added_to_those_of_the_type() -> None:
    """Rules of an inner annotation are kept when an outer one adds more."""
    first = Annotated[str, Rules(Rule("a", "A"))]

    class Holder(BaseModel):
        field: Annotated[first, Rules(Rule("b", "B"))]

    found = structural_schema(Holder)["properties"]["field"]["x-kubernetes-validations"]
    assert [rule["rule"] for rule in found] == ["a", "b"]


def test_a_pattern_cannot_end_the_cel_string() -> None:
    """A quote in a pattern would be code."""
    with pytest.raises(ValueError, match="single quote"):
        matches("it's")
