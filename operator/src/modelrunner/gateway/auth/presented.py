"""Where clients put their key."""

from typing import Final

from modelrunner.gateway.messages import Headers

HEADERS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""Headers that may hold a key, so that none of them is passed on."""


def presented_key(headers: Headers) -> bytes | None:
    """What a client presents as its key; None when it presents none.

    `Authorization: Bearer` (OpenAI), else `x-api-key` (Anthropic), else `api-key` (Azure).
    """
    anthropic = azure = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == b"bearer " and (key := value[7:].strip()):
                return key
        elif name == b"x-api-key":
            anthropic = anthropic or value
        elif name == b"api-key":
            azure = azure or value
    return anthropic or azure or None
