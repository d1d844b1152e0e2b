"""The reference pages for users, made from the models and from the flag allowlists."""

from collections.abc import Iterator
from typing import Any, Final

from modelrunner.api.annotations import VALIDATIONS
from modelrunner.api.crds import KINDS, Kind, object_schema
from modelrunner.api.structural import INT_OR_STRING, PRESERVE, Schema
from modelrunner.api.v1alpha1 import API_VERSION

PAGE_HEADER: Final = (
    "<!-- Made by `make crds`. Do not edit: change operator/src/modelrunner/api "
    "or protocol/src/modelrunner_protocol/allowlists. -->\n"
)
_INTRODUCTION: Final = (
    f"API version `{API_VERSION}`. Both kinds are namespaced and refer to objects of their own "
    "namespace only. The same texts: `kubectl explain model.spec`.\n"
)
_FLAGS_INTRODUCTION: Final = (
    "What `spec.config.runtimeFlags` and `spec.config.rawRuntimeFlags` of a Model may hold. Any "
    "other flag, a value with `/` or `\\`, and a value that looks like a flag make the Model say "
    "`InvalidConfiguration`. A negative value is written with an equals sign: `--seed=-1`.\n"
)
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("maxLength", "at most {} characters"),
    ("maxItems", "at most {} items"),
    ("maxProperties", "at most {} entries"),
)
_WIDEST: Final = 2**31 - 1


def custom_resources_page() -> str:
    """Markdown: every field of both kinds, and what the API server refuses."""
    parts = [
        PAGE_HEADER,
        "# Custom resources\n",
        _INTRODUCTION,
    ]
    for kind in KINDS:
        parts += _kind_section(kind)
    return "\n".join(parts)


def runtime_flags_page(allowlists: dict[str, str]) -> str:
    """Markdown: the flags that users may set.

    Args:
        allowlists: the allowlist's text by engine; lines with "#" begin a group.
    """
    parts = [
        PAGE_HEADER,
        "# Runtime flags\n",
        _FLAGS_INTRODUCTION,
    ]
    for engine, text in allowlists.items():
        parts.append(f"## {engine}\n")
        parts += [f"* {title}: {', '.join(flags)}" for title, flags in _groups(text)]
        parts.append("")
    return "\n".join(parts)


def _kind_section(kind: Kind) -> list[str]:
    schema = object_schema(kind)
    properties = schema["properties"]
    columns = ", ".join(_column_names(kind))
    parts = [
        f"## {kind.name}\n",
        f"{schema['description']}\n",
        f"`kubectl get {kind.plural}`, short `{kind.short}`. Columns (*italic*: `-o wide`): {columns}.\n",
    ]
    for part in ("spec", "status"):
        parts += [f"### {kind.name} {part}\n", f"{properties[part]['description']}\n"]
        parts += ["| field | type | meaning |", "|---|---|---|"]
        parts += [
            f"| `{path}` | {_type(field, required=required)} | {_cell(field)} |"
            for path, field, required in walk(properties[part], part)
        ]
        parts.append("")
    parts += [f"### What the API server refuses in a {kind.name}\n"]
    parts += [f"* `{path}`: {message}" for path, message in _refusals(schema)]
    return [*parts, ""]


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """All fields below a schema: dotted path, the field's schema, whether it is required.

    Items of a list are `path[]`.
    """
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field, name in required
        inner, suffix = field, ""
        if "items" in field:
            inner, suffix = field["items"], "[]"
        yield from walk(inner, f"{path}.{name}{suffix}")


def _column_names(kind: Kind) -> list[str]:
    return [f"*{column.name}*" if column.wide else column.name for column in kind.columns]


def _type(field: Schema, *, required: bool) -> str:
    if "enum" in field:
        parts = [" or ".join(f"`{value}`" for value in field["enum"])]
    else:
        parts = [_type_name(field)]
        parts += [text.format(field[key]) for key, text in _BOUNDS if _says(field, key)]
    return ", ".join([*parts, "required"] if required else parts)


def _says(field: Schema, key: str) -> bool:
    """Whether a bound is worth a word: not the width of an integer, nor the room above a rule."""
    if key == "maxLength" and VALIDATIONS in field:
        return False
    return key in field and field[key] != _WIDEST


def _type_name(field: Schema) -> str:
    if field.get(INT_OR_STRING):
        return "integer or string"
    if "items" in field:
        return f"list of {_type_name(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type_name(field['additionalProperties'])}"
    if field.get(PRESERVE) and "properties" not in field:
        return "object of any shape"
    return str(field["type"])


def _cell(field: Schema) -> str:
    return str(field.get("description", "")).replace("|", "\\|").replace("\n\n", "<br>")


def _refusals(schema: Schema) -> Iterator[tuple[str, str]]:
    """Every rule of a schema: where it stands and what it says."""
    root: Any = {"properties": {k: v for k, v in schema["properties"].items() if k != "status"}}
    for path, field, _ in walk(root, ""):
        name = path.lstrip(".")
        yield from ((name, rule["message"]) for rule in field.get(VALIDATIONS, ()))
        for suffix, inner in (("[]", "items"), ("{}", "additionalProperties")):
            for rule in field.get(inner, {}).get(VALIDATIONS, ()):
                yield f"{name}{suffix}", rule["message"]


def _groups(text: str) -> Iterator[tuple[str, list[str]]]:
    title, flags = "", list[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            if flags:
                yield title, flags
            title, flags = line.lstrip("# "), []
        elif line.strip():
            flags.append(f"`{line.strip()}`")
    if flags:
        yield title, flags
