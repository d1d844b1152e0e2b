"""Heads as bytes: of requests to endpoints, of answers to clients. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from modelrunner.gateway.http.fields import INTERNAL_PREFIX, NOT_SENT_ON
from modelrunner.gateway.http.refusal import REASONS
from modelrunner.gateway.messages import Answer, Forward, Headers, Request

if TYPE_CHECKING:
    from modelrunner.gateway.http.head import Head

SERVER: Final = b"model-runner-gateway"
_OURS: Final = (
    b"X-Request-Id: %b\r\nX-Docker-Model-Runner: true\r\nServer-Timing: gateway;dur=%.3f\r\n"
)
_SET_HERE: Final = frozenset({b"content-length", b"connection", b"transfer-encoding"})


def request_head(request: Request, head: "Head", forward: Forward) -> bytes:
    """What an endpoint is sent before the body. On a socket of our own, with routing's words."""
    target = (forward.path or request.path).encode("ascii")
    if request.query:
        target = b"%b?%b" % (target, request.query)
    address = forward.endpoint.address
    if isinstance(address, str):
        host = b"localhost"
        fields = _lines_sent(request.headers, internal=True)
    else:
        host = host_of(address)
        # Mostly nothing has changed since the last request of this connection.
        if head.sent_on is None or request.headers != head.headers:
            fields = _lines_sent(request.headers, internal=False)
            if request.headers == head.headers:
                head.sent_on = fields
        else:
            fields = head.sent_on
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n" % (
        head.verb,
        target,
        host,
        fields,
        len(request.body),
        request.id,
    )


def _lines_sent(headers: Headers, *, internal: bool) -> bytes:
    return lines(
        [
            pair
            for pair in headers
            if pair[0] not in NOT_SENT_ON and (internal or not pair[0].startswith(INTERNAL_PREFIX))
        ]
    )


@lru_cache(maxsize=4096)
def host_of(address: tuple[str, int]) -> bytes:
    """The Host of an address."""
    host, port = address
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()


def answer_start(status: int, reason: bytes, fields: Headers) -> bytes:
    """The status line of an endpoint's answer and the fields that are passed on."""
    return b"HTTP/1.1 %d %b\r\n%b" % (status, reason or REASONS.get(status, b""), lines(fields))


def ours(identity: bytes, seconds: float) -> bytes:
    """What every answer has: whose it is, and the gateway's own share of its time."""
    return _OURS % (identity, seconds * 1000)


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def whole_answer(
    answer: Answer,
    *,
    identity: bytes,
    date: bytes,
    seconds: float,
    connection: bytes,
    bodiless: bool,
) -> bytes:
    """An answer of our own."""
    status = answer.status
    headers = [pair for pair in answer.headers if pair[0].lower() not in _SET_HERE]
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(answer.body)
    return b"".join(
        (
            answer_start(status, b"", headers),
            length,
            b"Date: %b\r\nServer: %b\r\n" % (date, SERVER),
            ours(identity, seconds),
            connection,
            b"\r\n",
            b"" if bodiless or status in {204, 304} else answer.body,
        )
    )


def stream_head(
    *,
    media: bytes,
    identity: bytes,
    date: bytes,
    connection: bytes,
    chunked: bool,
    waited: float,
    extra: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """The head of a stream of type `media` that begins before its endpoint is known.

    What the client learns of the cold start is how long it has `waited` so far.
    """
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
        b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nDate: %b\r\nServer: %b\r\n"
        b"X-Request-Id: %b\r\nX-Docker-Model-Runner: true\r\nX-Model-Cold-Start: %.3f\r\n%b%b%b\r\n"
    ) % (media, date, SERVER, identity, waited, lines(extra), framing, connection)
