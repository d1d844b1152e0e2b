"""`text.format`: the form in which a model has to answer. Pure."""

import re
from typing import Any, Final

from runnerd.responses.members import MISSING, UNSUPPORTED, Members

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VERBOSITIES: Final = ("low", "medium", "high")
_TEXT: Final = {"type": "text"}


def text_of(members: Members) -> tuple[dict[str, Any], dict[str, Any]]:
    """Members of a chat's request, and the response's `text`.

    Raises:
        AskedWronglyError: there is no such format, or its schema is none.
    """
    text = members.nested("text")
    told: dict[str, Any] = {"format": _TEXT}
    if text is None:
        return {}, told
    if verbosity := text.one_of("verbosity", _VERBOSITIES):
        told["verbosity"] = verbosity
    wanted = text.nested("format")
    if wanted is None:
        return {}, told
    kind = wanted.text("type") or "text"
    if kind == "text":
        return {}, told
    if kind == "json_object":
        # llama-server lets "json_object" pass unchecked; an object's schema is kept to.
        told["format"] = {"type": kind}
        return _schema({"name": "response", "strict": True, "schema": {"type": "object"}}), told
    if kind == "json_schema":
        schema = _named(wanted)
        told["format"] = {"type": kind, **schema}
        return _schema(schema), told
    raise wanted.wrong("type", "must be one of text, json_object, json_schema", UNSUPPORTED)


def _named(wanted: Members) -> dict[str, Any]:
    name = wanted.wanted("name")
    if not _NAME.fullmatch(name):
        rule = "must be 1 to 64 letters, digits, underscores or dashes"
        raise wanted.wrong("name", rule)
    schema = wanted.nested("schema")
    if schema is None:
        raise wanted.wrong("schema", "is required", MISSING)
    told: dict[str, Any] = {"name": name, "schema": schema.data}
    if description := wanted.text("description"):
        told["description"] = description
    if (strict := wanted.flag("strict")) is not None:
        told["strict"] = strict
    return told


def _schema(found: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": found}}
