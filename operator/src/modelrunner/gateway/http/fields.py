"""Header fields that a proxy must know (RFC 9110 §7.6.1). Pure."""

from collections.abc import Iterable
from typing import Final

from modelrunner.gateway.messages import Headers

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"cookie"})
"""The client's, for us: a runner never sees them."""

INTERNAL_PREFIX: Final = b"x-modelrunner-"
"""What routing tells the back office; never to a runner."""

NOT_SENT_ON: Final = (
    HOP_BY_HOP | CREDENTIALS | {b"host", b"content-length", b"expect", b"x-request-id"}
)
"""Of a request: hop-by-hop, the client's credentials, and what the front sets anew."""

NOT_PASSED_BACK: Final = HOP_BY_HOP | {
    b"content-length",
    b"x-request-id",
    b"x-docker-model-runner",
}
"""Of an answer: hop-by-hop, and what the front sets anew."""

_PROTECTED: Final = HOP_BY_HOP | {b"close", b"host", b"content-length"}


def tokens(values: Iterable[bytes]) -> set[bytes]:
    """The members of a comma-separated field, in lower case."""
    found = {word.strip(b" \t").lower() for value in values for word in value.split(b",")}
    found.discard(b"")
    return found


def without_nominated(headers: Headers, options: set[bytes]) -> Headers:
    """Headers without those that Connection names: they are meant for this hop only.

    What frames or addresses the message is judged before and is not theirs to take away.
    """
    nominated = options - _PROTECTED
    if not nominated:
        return headers
    return [pair for pair in headers if pair[0] not in nominated]
