"""Members of a request's body, each with the type that Ollama's have. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from modelrunner_protocol.errors import why_not_json
from runnerd.server.dialects import Rejection, reject

Object = Mapping[str, Any]


class AskedWronglyError(Exception):
    """A request that cannot be done as it is; `found` is the answer to it."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.found: Rejection = reject(status, message, param=param)


def decoded(raw: bytes) -> dict[str, Any]:
    """The object that a body is.

    Raises:
        AskedWronglyError: it is something else.
    """
    if not raw:
        raise AskedWronglyError("missing request body")
    try:
        # From text, since from bytes Python would also take UTF-16.
        data = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise AskedWronglyError(f"the body is not JSON: {why_not_json(error)}") from error
    if not isinstance(data, dict):
        raise AskedWronglyError("the body must be a JSON object")
    return data


def text(data: Object, name: str) -> str:
    """A string; "" when there is none."""
    found = data.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise AskedWronglyError(f"'{name}' must be a string", name)
    return found


def flag(data: Object, name: str, *, default: bool) -> bool:
    """True or false."""
    found = data.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise AskedWronglyError(f"'{name}' must be true or false", name)
    return found


def objects(data: Object, name: str) -> list[dict[str, Any]]:
    """A list of objects; empty when there is none."""
    found = listed(data, name)
    if not all(isinstance(one, dict) for one in found):
        raise AskedWronglyError(f"'{name}' must be a list of objects", name)
    return found


def texts(data: Object, name: str) -> list[str]:
    """A list of strings; empty when there is none."""
    found = listed(data, name)
    if not all(isinstance(one, str) for one in found):
        raise AskedWronglyError(f"'{name}' must be a list of strings", name)
    return found


def listed(data: Object, name: str) -> list[Any]:
    """A list; empty when there is none."""
    found = data.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise AskedWronglyError(f"'{name}' must be a list", name)
    return found


def nested(data: Object, name: str) -> dict[str, Any]:
    """An object; empty when there is none."""
    found = data.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise AskedWronglyError(f"'{name}' must be an object", name)
    return found


def whole(data: Object, name: str) -> int | None:
    """A whole number, also one that is written as 5.0."""
    found = data.get(name)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise AskedWronglyError(f"'{name}' must be a whole number", name)


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


# Whole numbers stay whole here, unlike in `checks`: schemas and arguments are written anew.
_DECODER: Final = json.JSONDecoder(parse_constant=_not_json)
