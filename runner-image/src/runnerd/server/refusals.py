"""An engine's own error answers, in the words and with the status that clients need. Pure.

llama-server blames itself (500) for some requests that are wrong in their form, says 404 for a
route that it does not have, and speaks OpenAI's language on Anthropic's routes.
"""

import json
import re
from typing import Final

from runnerd.server.dialects import INVALID_REQUEST, SERVER_ERROR, Dialect, Rejection, reject
from runnerd.server.routes import DETOKENIZE, Inference

TOO_LONG: Final = "exceed_context_size_error"
"""llama-server's `type` of an error about a prompt that the context has no room for."""

TOO_LONG_CODE: Final = "context_length_exceeded"
"""OpenAI's `code` of the same, by which clients shorten a conversation and ask again."""

_FORM: Final = re.compile(
    r"\[json\.exception\.|Failed to parse |\"prompt\" |Unknown reasoning format"
    r"|(?:image|audio|video) input is not supported|input \([0-9]+ tokens\) is too large"
)
# What its standard library says of a number that is no token: it looks up what it is given.
_UNKNOWN_NUMBER: Final = "vector::_M_range_check"


def refusal(route: Inference, status: int, raw: bytes, path: str = "") -> Rejection | None:
    """What to tell instead of an engine's answer with this status; None: the answer itself.

    `path` is what the engine was asked, where that is not the route's own.
    """
    if status < 400:
        return None
    if status == 404:
        # It serves one model under any name: what it cannot find is the path.
        return reject(
            501, f"the engine of this model has no {path or route.path}", code="unsupported_route"
        )
    message = _message(raw)
    if message is None:
        return None
    if status == 501:
        return reject(501, message, code="unsupported_mode")
    if status == 500 and (wrong := _wrong_form(route, message)):
        return wrong
    # Only OpenAI's clients can read what it says as it says it.
    kind = SERVER_ERROR if status >= 500 else INVALID_REQUEST
    translated = route.dialect in {Dialect.ANTHROPIC, Dialect.OLLAMA}
    return Rejection(status, message, kind) if translated else None


def worded(raw: bytes) -> bytes:
    """An engine's error with a `code` that OpenAI's clients can read: a word, or null.

    llama-server repeats the status there, a number. What else it says stays.
    """
    try:
        body = json.loads(raw)
        error = body["error"]
        if isinstance(error["code"], str):
            return raw
    except (ValueError, KeyError, TypeError, RecursionError):
        return raw
    code = TOO_LONG_CODE if error.get("type") == TOO_LONG else None
    mended = {"param": None, **error, "code": code}
    return json.dumps({**body, "error": mended}, ensure_ascii=False).encode(errors="replace")


def _wrong_form(route: Inference, message: str) -> Rejection | None:
    """The client's error that an engine has taken for its own."""
    if route is DETOKENIZE and _UNKNOWN_NUMBER in message:
        return reject(400, "'tokens' holds a number that is no token of this model", param="tokens")
    return reject(400, message) if _FORM.match(message) else None


def _message(raw: bytes) -> str | None:
    try:
        message = json.loads(raw)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return message if isinstance(message, str) else None
