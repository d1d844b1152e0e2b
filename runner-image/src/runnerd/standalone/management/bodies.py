"""What stands in the bodies of management requests."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from aiohttp import web

from modelrunner_protocol.dmr import ShapeError
from modelrunner_protocol.errors import why_not_json
from runnerd.server.dialects import reject
from runnerd.standalone.pages import RefusedError, body_of


async def body_object(request: web.BaseRequest, *, optional: bool = False) -> Mapping[str, Any]:
    """The JSON object that a request brings. `optional`: no body is an empty one.

    Raises:
        RefusedError: 400 in words, or what `body_of` says.
    """
    raw = await body_of(request)
    if optional and not raw.strip():
        return {}
    try:
        # From text, since from bytes Python would also take UTF-16.
        found = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        text = f"invalid request body: it is not JSON: {why_not_json(error)}"
        raise RefusedError(reject(400, text)) from error
    if not isinstance(found, dict):
        raise RefusedError(reject(400, "invalid request body: it must be a JSON object"))
    return found


def wrong_shape(error: ShapeError) -> RefusedError:
    """400 in the words of the protocol."""
    return RefusedError(reject(400, f"invalid request: {error}"))


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_not_json)
