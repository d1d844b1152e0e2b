"""Marks on pydantic types that end up in the OpenAPI schema of a CustomResourceDefinition.

Bare `pattern` and `minimum` violations read like a stack trace in `kubectl apply`. A rule
carries a sentence instead, so everything but sizes is said by rules.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule: `expression` must be true, or the API server answers with `message`.

    Source: Kubernetes, "Validation rules" of CustomResourceDefinitions.
    """

    expression: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        return {"rule": self.expression, "message": self.message}


class Rules:
    """Adds CEL rules to a type: `Annotated[str, Rules(Rule(…), …)]`."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        return {**schema, **rules(*self.rules, before=schema.get(VALIDATIONS, []))}


class Extend:
    """Adds keys to the schema of a type, e.g. the properties of a free-form object."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self.keys = keys

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core_schema), **self.keys}


def rules(*given: Rule, before: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The schema keys that carry CEL rules, for a model's `json_schema_extra`."""
    return {VALIDATIONS: [*(before or []), *(rule.to_dict() for rule in given)]}


def list_type(kind: Literal["atomic", "set", "map"], *keys: str) -> Extend:
    """How server-side apply merges a list: as a whole, as a set, or item by item by `keys`."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": kind}
    if keys:
        extra["x-kubernetes-list-map-keys"] = list(keys)
    return Extend(extra)


def matches(pattern: str, *, subject: str = "self") -> str:
    """The CEL expression that `subject` matches an RE2 pattern.

    Raises:
        ValueError: the pattern holds a quote, which would end the CEL string.
    """
    if "'" in pattern:
        raise ValueError(f"the pattern {pattern!r} holds a single quote")
    return f"{subject}.matches(r'{pattern}')"
