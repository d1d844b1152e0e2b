"""JSON for frozen dataclasses: strict about types, tolerant of newer fields.

The parts are upgraded one after the other, so an unknown field is ignored; a wrong type is
an error, since it means that the two sides mean different things by one word.
"""

import dataclasses
import json
import types
import typing
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class WireError(ValueError):
    """A message that does not have the agreed shape; the text names the field."""


def encode(message: Any) -> str:
    """Compact JSON of a dataclass: `to_dict` as text."""
    return json.dumps(to_dict(message), separators=(",", ":"), ensure_ascii=False)


def to_dict(message: Any) -> dict[str, Any]:
    """The JSON object of a dataclass: camelCase keys, without empty fields.

    A field whose absence would mean something else is written even if it is empty, so that
    `from_dict` reads back what was written.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(message):
        value = _plain(getattr(message, field.name))
        if value is None or (value in ("", [], {}) and field.default in ("", (), None)):
            continue
        found[camel(field.name)] = value
    return found


def decode(kind: type[T], text: str | bytes) -> T:
    """Read a dataclass from JSON text.

    Raises:
        WireError: not JSON, not an object, a missing field or one of the wrong type.
    """
    try:
        data = json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
    return from_dict(kind, data)


def from_dict(kind: type[T], data: Any, path: str = "") -> T:
    """Read a dataclass from a JSON object.

    Raises:
        WireError: see `decode`.
    """
    if not isinstance(data, dict):
        raise WireError(f"{path or kind.__name__}: expected an object, found {type(data).__name__}")
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast("Any", kind)):
        key, where = camel(field.name), f"{path}.{camel(field.name)}".lstrip(".")
        if data.get(key) is not None:
            values[field.name] = _read(hints[field.name], data[key], where)
        elif _required(field):
            raise WireError(f"{where}: missing")
    return kind(**values)


def camel(name: str) -> str:
    """`context_size` → `contextSize`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _read(hint: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return _read(next(a for a in arguments if a is not type(None)), value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise WireError(f"{path}: expected a list, found {type(value).__name__}")
        return tuple(_read(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value, path)
    return _read_scalar(hint, value, path)


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise WireError(f"{path}: too large a number") from error
    if isinstance(hint, type) and issubclass(hint, str) and isinstance(value, str):
        try:
            return hint(value)
        except ValueError as error:
            raise WireError(f"{path}: {error}") from error
    if type(value) is hint:
        return value
    raise WireError(
        f"{path}: expected {getattr(hint, '__name__', hint)}, found {type(value).__name__}"
    )
