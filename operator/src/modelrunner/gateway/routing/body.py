"""The two fields of a request's body that routing needs. Pure; nothing else is looked at.

Bodies of every size are read in the event loop: the decoder keeps Python's lock, so a thread would
stop the loop just as long (0.5 ms per MB).
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec


class Peek(msgspec.Struct, gc=False):
    """`model` and `stream` of a body that is a JSON object."""

    model: str | None = None
    stream: bool | None = None


class Unreadable(Exception):  # noqa: N818 - not an error of ours: it is what the client is told
    """A body that no model can be found by. `param` is the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


_P = TypeVar("_P", bound=Peek)

_FIELDS: Final = {
    "model": "a string",
    "name": "a string",
    "stream": "true or false",
    "previous_response_id": "a string",
}
_decode: Final = msgspec.json.Decoder(Peek).decode


def peek(body: bytes) -> Peek:
    """Read `model` and `stream`; the last of equal keys counts, as it does for the engines.

    Raises:
        Unreadable: it is no JSON object, or a field has the wrong type.
    """
    return peek_with(_decode, body)


def peek_with(decode: Callable[[bytes], _P], body: bytes) -> _P:
    """Read the fields that a decoder looks for.

    Raises:
        Unreadable: as `peek`.
    """
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _told(body, error) from error


def _told(body: bytes, error: Exception) -> Unreadable:
    if not body:
        return Unreadable("The request has no body: send a JSON object with a `model`")
    if isinstance(error, UnicodeDecodeError):
        return Unreadable("The body is not UTF-8: send JSON in UTF-8")
    if isinstance(error, RecursionError):
        return Unreadable("The body is nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        return Unreadable(f"The body is not JSON: {error}")
    for field, wanted in _FIELDS.items():
        if str(error).endswith(f"`$.{field}`"):
            return Unreadable(f"`{field}` must be {wanted}", field)
    return Unreadable("The body must be a JSON object")
