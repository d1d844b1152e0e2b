"""From pydantic models to structural schemas (OpenAPI v3 as `apiextensions.k8s.io/v1` takes it).

What pydantic says otherwise is translated (nullable, const, exclusive bounds, int-or-string,
free-form objects); what has no structural form is refused here, at generation, and not by an
API server later.

Source: Kubernetes, "Specifying a structural schema".
"""

from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

Schema: TypeAlias = dict[str, Any]

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_FORBIDDEN: Final = frozenset(
    {
        "$defs",
        "$ref",
        "const",
        "contentMediaType",
        "definitions",
        "dependentRequired",
        "discriminator",
        "else",
        "examples",
        "if",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
    }
)
_DATA: Final = frozenset({"default", "enum", "required"})
_ANYTHING: Final = {PRESERVE: True}
_INT32_MAX: Final = 2**31 - 1


class NotStructuralError(TypeError):
    """A model that has no structural schema; the message says how to model it instead."""


class StructuralSchema(GenerateJsonSchema):
    """Emits the dialect of OpenAPI that CustomResourceDefinitions accept."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """`X | None` is X: absent means not set, and null is never stored."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults live in code: the API server would write them into users' objects."""
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """A constant is an enumeration of one."""
        found = super().literal_schema(schema)
        if "const" in found:
            found["enum"] = [found.pop("const")]
        return found

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """Integers say their width."""
        found = _bounds(super().int_schema(schema))
        narrow = found.get("maximum", _INT32_MAX + 1) <= _INT32_MAX
        return {**found, "format": "int32" if narrow else "int64"}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        """Bounds in the form of OpenAPI 3.0."""
        return _bounds(super().float_schema(schema))

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """A map of anything keeps what it is given; rules about keys are for CEL."""
        found = super().dict_schema(schema)
        if found.pop("propertyNames", None) or found.pop("patternProperties", None):
            raise NotStructuralError("keys of a map cannot have a schema: check them in a CEL rule")
        if found.get("additionalProperties", True) in (True, _ANYTHING):
            found.pop("additionalProperties", None)
            found[PRESERVE] = True
        return found

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        """Only `int | str` (a quantity, a port) is a union that a structural schema knows."""
        found = super().union_schema(schema)
        kinds = {choice.get("type") for choice in found.get("anyOf", ())}
        if kinds != {"integer", "string"}:
            raise NotStructuralError(
                f"the union {found} is not structural: use optional fields and a CEL rule"
            )
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], INT_OR_STRING: True}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Refused: see `union_schema`."""
        del schema
        raise NotStructuralError("a tagged union is not structural: use fields and a CEL rule")

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        """Refused: items of a structural list are alike."""
        del schema
        raise NotStructuralError("a tuple is not structural: use a list")

    def any_schema(self, schema: core_schema.AnySchema) -> JsonSchemaValue:
        """Anything is kept as it is given."""
        del schema
        return dict(_ANYTHING)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Titles would only repeat the fields' names."""
        del schema
        return False


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model: references inlined, keys in a fixed order.

    Raises:
        NotStructuralError: the model holds something that no structural schema can say.
    """
    raw = model.model_json_schema(by_alias=True, schema_generator=StructuralSchema)
    schema: Schema = _inline(raw, raw.get("$defs", {}), ())
    if schema.get("type") != "object":
        raise NotStructuralError(f"{model.__name__} is not an object")
    return schema


def _inline(node: Any, definitions: Schema, path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _follow(node, definitions, path)
    found = {
        key: _value(key, value, definitions, path)
        for key, value in node.items()
        if key not in {"title", "$defs"}
    }
    if bad := _FORBIDDEN & found.keys():
        raise NotStructuralError(f"{', '.join(sorted(bad))} is not structural: {found}")
    if found.get("type") == "object":
        _close(found)
    return found


def _value(key: str, value: Any, definitions: Schema, path: tuple[str, ...]) -> Any:
    if key == "properties":  # names of properties are data and may look like keywords
        return {name: _inline(schema, definitions, path) for name, schema in value.items()}
    if key == "description":
        return _unwrap(value)
    return value if key in _DATA else _inline(value, definitions, path)


def _follow(node: Schema, definitions: Schema, path: tuple[str, ...]) -> Any:
    name = node["$ref"].rsplit("/", 1)[1]
    if name in path:
        raise NotStructuralError(f"{name} holds itself, which no structural schema can say")
    own = {key: value for key, value in node.items() if key != "$ref"}
    return _inline({**definitions[name], **own}, definitions, (*path, name))


def _close(schema: Schema) -> None:
    """What a model says of unknown fields: true keeps them, false is how a schema is anyway.

    A schema for them is for maps, and structural only without `properties`.
    """
    more = schema.get("additionalProperties")
    if isinstance(more, bool):
        del schema["additionalProperties"]
        if more:
            schema[PRESERVE] = True
    elif more is not None and "properties" in schema:
        raise NotStructuralError("an object has fields or is a map, not both: use a map in a field")


def _bounds(schema: JsonSchemaValue) -> JsonSchemaValue:
    """OpenAPI 3.0 says exclusive bounds by a flag beside the bound."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if flag in schema:
            schema[bound], schema[flag] = schema[flag], True
    return schema


def _unwrap(text: str) -> str:
    """Lines of a paragraph joined, paragraphs kept apart."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
