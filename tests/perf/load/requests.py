"""The requests that are sent: whole HTTP messages, as an OpenAI client would send them."""

import json
from typing import Final

MODEL: Final = "tiny"
PATH: Final = "/v1/chat/completions"
_OVERHEAD: Final = 260
"""About how much of a completion of the backend is not text."""


def completion(key: str, size: int, *, identity: str = "") -> bytes:
    """A request whose body has `size` bytes, for an answer of about the same size.

    With an `identity` it carries that as its X-Request-Id.
    """
    return _message(key, size, identity, max_tokens=size - _OVERHEAD)


def stream(key: str, events: int, size: int = 1024) -> bytes:
    """A request whose body has `size` bytes, for a stream of so many events."""
    return _message(key, size, "", max_tokens=events, stream=True)


def post(path: str, body: bytes, *lines: str) -> bytes:
    """A request with this body, and these header lines beside a usual client's."""
    head = (
        f"POST {path} HTTP/1.1\r\n"
        "Host: gateway.test\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 2.8.0\r\n"
        "X-Stainless-Lang: python\r\n"
        "X-Stainless-Async: false\r\n"
        + "".join(f"{line}\r\n" for line in lines)
        + f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _message(key: str, size: int, identity: str, **parameters: object) -> bytes:
    empty = len(_body("", parameters))
    # Text that JSON has to look at, not one letter again and again.
    text = ("Tell me of the sea, and of the ships that sail it. " * (size // 50 + 1))[
        : max(0, size - empty)
    ]
    lines = [f"Authorization: Bearer {key}"] + [f"X-Request-Id: {identity}"] * bool(identity)
    return post(PATH, _body(text, parameters), *lines)


def _body(text: str, parameters: dict[str, object]) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": MODEL, **parameters, "messages": messages}).encode()
