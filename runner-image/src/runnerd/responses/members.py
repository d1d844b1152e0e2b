"""Members of a request's body, each with its type, and the name to tell when it has another. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from modelrunner_protocol.errors import why_not_json
from runnerd.server.dialects import Rejection, reject

MISSING: Final = "missing_required_parameter"
WRONG_TYPE: Final = "invalid_type"
WRONG_VALUE: Final = "invalid_value"
UNSUPPORTED: Final = "unsupported_parameter"
"""OpenAI's words for what is wrong with a parameter."""


class AskedWronglyError(Exception):
    """A request that cannot be done as it is; `found` is the answer to it."""

    def __init__(
        self, message: str, param: str | None = None, *, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.found: Rejection = reject(status, message, code=code, param=param)


class Members:
    """An object of a body. `path` is what its members' names begin with: "text.format."."""

    def __init__(self, data: Mapping[str, Any], path: str = "") -> None:
        self.data = data
        self._path = path

    def param(self, name: str) -> str:
        """A member's whole name."""
        return self._path + name

    def has(self, name: str) -> bool:
        """Whether a member is there, and not null."""
        return self.data.get(name) is not None

    def wrong(self, name: str, message: str, code: str = WRONG_VALUE) -> AskedWronglyError:
        """What to raise about a member; `message` goes on after its name."""
        param = self.param(name)
        return AskedWronglyError(f"'{param}' {message}", param, code=code)

    def unsupported(self, name: str, why: str) -> AskedWronglyError:
        """What to raise about a member that cannot be had here."""
        return self.wrong(name, f"is not supported here: {why}", UNSUPPORTED)

    def text(self, name: str) -> str | None:
        """A string."""
        found = self.data.get(name)
        if found is None or isinstance(found, str):
            return found
        raise self.wrong(name, "must be a string", WRONG_TYPE)

    def wanted(self, name: str) -> str:
        """A string that has to be there, and not empty."""
        found = self.text(name)
        if not found:
            raise self.wrong(name, "is required", MISSING)
        return found

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        """A string that is one of `words`."""
        found = self.text(name)
        if found is None or found in words:
            return found
        raise self.wrong(name, f"must be one of {', '.join(words)}")

    def flag(self, name: str) -> bool | None:
        """True or false."""
        found = self.data.get(name)
        if found is None or isinstance(found, bool):
            return found
        raise self.wrong(name, "must be true or false", WRONG_TYPE)

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number from `least` to `most`."""
        found = self.data.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.wrong(name, "must be a number", WRONG_TYPE)
        if not least <= found <= most:
            raise self.wrong(name, f"must be from {least:g} to {most:g}")
        return found

    def whole(self, name: str, least: int, most: int = (1 << 31) - 1) -> int | None:
        """A whole number, also one that is written as 5.0."""
        found = self.number(name, -math.inf, math.inf)
        if found is None:
            return None
        if found != found // 1:
            raise self.wrong(name, "must be a whole number", WRONG_TYPE)
        if not least <= found <= most:
            raise self.wrong(name, f"must be from {least} to {most}")
        return int(found)

    def nested(self, name: str) -> "Members | None":
        """An object."""
        found = self.data.get(name)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self.wrong(name, "must be an object", WRONG_TYPE)
        return Members(found, f"{self.param(name)}.")

    def objects(self, name: str) -> "list[Members]":
        """A list of objects; empty when there is none."""
        found = self.data.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self.wrong(name, "must be a list", WRONG_TYPE)
        param = self.param(name)
        for index, one in enumerate(found):
            if not isinstance(one, dict):
                told = f"'{param}[{index}]' must be an object"
                raise AskedWronglyError(told, f"{param}[{index}]", code=WRONG_TYPE)
        return [Members(one, f"{param}[{index}].") for index, one in enumerate(found)]


def decoded(raw: bytes) -> dict[str, Any]:
    """The object that a body is.

    Raises:
        AskedWronglyError: it is something else.
    """
    if not raw:
        raise AskedWronglyError("The request has no body: send a JSON object")
    try:
        # From text, since from bytes Python would also take UTF-16.
        data = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise AskedWronglyError(f"The body is not JSON: {why_not_json(error)}") from error
    if not isinstance(data, dict):
        raise AskedWronglyError("The body must be a JSON object")
    return data


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        # It would be written as Infinity, which the engine cannot read.
        raise ValueError(f"{text[:40]} is too large a number")
    return found


_DECODER: Final = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite)
