"""Jinja in users' strings (`env`, `podTemplate`): variables, literals and three filters.

Loops, arithmetic, calls and tests are refused before anything runs: a string of a hundred
characters could otherwise fill the operator's memory. What is left runs in Jinja's sandbox,
where an undefined variable is an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

FILTERS: Final = frozenset({"lower", "upper", "trim"})
VARIABLES: Final = ("model.name", "model.namespace", "model.format", "runner.name")
_MARKS: Final = ("{{", "{%", "{#")
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Const,
    nodes.Filter,
)


class ExpressionError(ValueError):
    """A string that is not a template we run; the message says where and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """What users' strings may name."""

    model: str
    namespace: str
    runner: str
    format: str = "gguf"

    def to_dict(self) -> dict[str, dict[str, str]]:
        """The variables as templates see them."""
        return {
            "model": {"name": self.model, "namespace": self.namespace, "format": self.format},
            "runner": {"name": self.runner},
        }


def expand(node: Any, variables: Variables, path: str) -> Any:
    """The JSON value with every string rendered; keys are left alone.

    Raises:
        ExpressionError: a string cannot be rendered; `path` leads to it.
    """
    if isinstance(node, str):
        return _render(node, variables, path)
    if isinstance(node, Mapping):
        return {key: expand(value, variables, f"{path}.{key}") for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [expand(item, variables, f"{path}[{i}]") for i, item in enumerate(node)]
    return node


def _render(text: str, variables: Variables, path: str) -> str:
    if not any(mark in text for mark in _MARKS):
        return text
    try:
        _check(text, path)
        rendered = _ENVIRONMENT.from_string(text).render(variables.to_dict())
    except TemplateError as error:
        raise ExpressionError(f"{path}: {error.message or error}; {_HINT}") from error
    except RecursionError as error:
        raise ExpressionError(f"{path}: nested too deeply; {_HINT}") from error
    return rendered


@lru_cache(maxsize=1024)
def _check(text: str, path: str) -> None:
    for node in _walk(_ENVIRONMENT.parse(text)):
        if not isinstance(node, _ALLOWED):
            word = type(node).__name__.lower()
            raise ExpressionError(f"{path}: Jinja's {word} is not allowed here; {_HINT}")
        if isinstance(node, nodes.Filter) and (node.name not in FILTERS or node.args):
            raise ExpressionError(f"{path}: the filter {node.name!r} is not allowed; {_HINT}")
        if isinstance(node, nodes.Name | nodes.Getattr) and _dotted(node) not in VARIABLES:
            raise ExpressionError(f"{path}: {_dotted(node)!r} is undefined; {_HINT}")


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    if not isinstance(node, nodes.Getattr):
        for child in node.iter_child_nodes():
            yield from _walk(child)


def _dotted(node: nodes.Node) -> str:
    if isinstance(node, nodes.Getattr):
        return f"{_dotted(node.node)}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else "…"


_HINT: Final = (
    f"use {', '.join(f'{{{{ {name} }}}}' for name in VARIABLES)} and the filters"
    f' {", ".join(sorted(FILTERS))}; write {{{{ "{{{{" }}}} for two literal braces'
)
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
# range, lipsum and the like would be known names.
_ENVIRONMENT.globals.clear()
