"""Heads as bytes: of requests to endpoints, of answers to clients. Pure."""

from typing import Final

from modelrunner.gateway.http.answer_head import AnswerHead
from modelrunner.gateway.http.fields import INTERNAL_PREFIX, NOT_SENT_ON
from modelrunner.gateway.http.refusal import REASONS
from modelrunner.gateway.messages import Answer, Endpoint, Headers, Request

SERVER: Final = b"model-runner-gateway"
_OURS: Final = (
    b"X-Request-Id: %b\r\nX-Docker-Model-Runner: true\r\nServer-Timing: gateway;dur=%.3f\r\n"
)
_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in REASONS.items()
}
_SET_HERE: Final = frozenset({b"content-length", b"connection", b"transfer-encoding"})


def request_head(request: Request, path: str, endpoint: Endpoint) -> bytes:
    """What an endpoint is sent before the body. On a socket of our own, with routing's words."""
    address = endpoint.address
    if isinstance(address, str):
        host = b"localhost"
        kept = [b"%b: %b" % pair for pair in request.headers if pair[0] not in NOT_SENT_ON]
    else:
        host = host_field(*address)
        kept = [
            b"%b: %b" % pair
            for pair in request.headers
            if pair[0] not in NOT_SENT_ON and not pair[0].startswith(INTERNAL_PREFIX)
        ]
    target = path.encode("ascii")
    if request.query:
        target = b"%b?%b" % (target, request.query)
    kept.append(b"content-length: %d\r\nx-request-id: %b\r\n\r\n" % (len(request.body), request.id))
    start = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (request.method.encode(), target, host)
    return start + b"\r\n".join(kept)


def host_field(host: str, port: int) -> bytes:
    """The Host of an address."""
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()


def answer_head(
    head: AnswerHead, framing: bytes, identity: bytes, seconds: float, extra: bytes
) -> bytes:
    """An endpoint's head for the client; `framing` and `extra` are whole lines."""
    start = _STATUS_LINES.get(head.status)
    if start is None or head.reason != REASONS[head.status]:
        start = b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)
    fields = b"".join([b"%b: %b\r\n" % pair for pair in head.fields])
    ours = _OURS % (identity, seconds * 1000)
    return b"".join((start, fields, framing, ours, extra, b"\r\n"))


def lines(headers: Headers) -> bytes:
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
    start = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    headers = [pair for pair in answer.headers if pair[0].lower() not in _SET_HERE]
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(answer.body)
    own = b"Date: %b\r\nServer: %b\r\n" % (date, SERVER)
    ours = _OURS % (identity, seconds * 1000)
    body = b"" if bodiless or status in {204, 304} else answer.body
    return b"".join((start, lines(headers), length, own, ours, connection, b"\r\n", body))


def stream_head(*, identity: bytes, date: bytes, connection: bytes, chunked: bool) -> bytes:
    """The head of an event stream that begins before its endpoint is known."""
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nDate: %b\r\nServer: %b\r\n"
        b"X-Request-Id: %b\r\nX-Docker-Model-Runner: true\r\n%b%b\r\n"
    ) % (date, SERVER, identity, framing, connection)
