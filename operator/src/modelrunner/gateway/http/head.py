"""What llhttp leaves open about a request's head (RFC 9110, 9112). Pure."""

import re
from typing import Final

from modelrunner.gateway.http.fields import tokens, without_nominated
from modelrunner.gateway.http.refusal import Refused, bad_request
from modelrunner.gateway.messages import Headers

CHUNKED: Final = -1
"""A body's length when it is chunked."""

_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_ALLOW: Final = (b"allow", b", ".join(_METHODS))
_JUDGED: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"expect",
        b"x-request-id",
    }
)
_AUTHORITY: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]*)?")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)")
_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_SLASHES: Final = re.compile(r"/{2,}")


class Head:
    """A head that is right; it may be repeated with another length.

    `length` is of the body in bytes, or CHUNKED; `told_at` is the place of Content-Length in
    `headers`, -1 without; `id` is the client's request id, b"" when it has none that is well
    formed; `expects` that it waits for 100 Continue. `sent_on` holds its fields as `render` has
    prepared them for endpoints.
    """

    __slots__ = (
        "expects",
        "headers",
        "http11",
        "id",
        "keep_alive",
        "length",
        "method",
        "named_at",
        "path",
        "query",
        "sent_on",
        "told_at",
        "verb",
    )

    def __init__(
        self, method: str, path: str, query: bytes, headers: Headers, *, http11: bool
    ) -> None:
        self.method = method
        self.verb = method.encode()
        self.path = path
        self.query = query
        self.headers = headers
        self.http11 = http11
        self.keep_alive = http11
        self.length = 0
        self.id = b""
        self.expects = False
        self.told_at = -1
        self.named_at = -1
        self.sent_on: bytes | None = None

    def repeat(self, digits: bytes, identity: bytes) -> None:
        """Be the head of one more request; its Content-Length and X-Request-Id, if they vary."""
        if self.told_at >= 0:
            self.length = int(digits)
            self.headers[self.told_at] = (b"content-length", digits)
        if identity:
            self.id = identity
            if self.named_at >= 0:
                self.headers[self.named_at] = (b"x-request-id", identity)


def judge_head(method: bytes, target: bytes, headers: Headers, start: bytes, limit: int) -> Head:
    """The head in order; `start` is at least its first line as it came.

    Raises:
        Refused: it is not, or asks for what is not served here.
    """
    line = b"%b %b HTTP/1." % (method, target)
    version = start[len(line) : len(line) + 1] if start.startswith(line) else b""
    if version not in {b"0", b"1"}:
        raise _wrong_line(start)
    name = _METHODS.get(method)
    if name is None:
        raise _wrong_method(method)
    if len(target) > limit:
        raise Refused(414, "uri_too_long", f"The target is longer than {limit} bytes")
    host: bytes | None = None
    if target[:1] != b"/":
        target, host = _other_form(target)
    path, query = _split_target(target)
    head = Head(name, path, query, headers, http11=version == b"1")
    _judge_fields(head, host)
    return head


def _wrong_line(start: bytes) -> Refused:
    words = start.partition(b"\r\n")[0].split(b" ")
    if len(words) == 3 and re.fullmatch(rb"HTTP/[0-9]\.[0-9]", words[2]):
        return Refused(505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    return bad_request("The request line is malformed")


def _wrong_method(method: bytes) -> Refused:
    if method in {b"CONNECT", b"TRACE"}:
        message = f"{method.decode()} is not allowed here"
        return Refused(405, "method_not_allowed", message, [_ALLOW])
    return unknown_method()


def unknown_method() -> Refused:
    """501: a method that nothing here has."""
    return Refused(501, "method_not_implemented", "This method is not known here")


def _other_form(target: bytes) -> tuple[bytes, bytes]:
    """The origin-form and host of an absolute-form, which must be accepted (RFC 9112 §3.2.2)."""
    found = _ABSOLUTE.match(target)
    if not found or not found[1] or not _AUTHORITY.fullmatch(found[1]):
        raise bad_request("The target must be a path")
    rest = target[found.end() :]
    return rest if rest[:1] == b"/" else b"/" + rest, found[1]


def _split_target(target: bytes) -> tuple[str, bytes]:
    if b"#" in target or not target.isascii():
        raise bad_request("The target holds a character that a URI cannot have")
    before, _, query = target.partition(b"?")
    path = before.decode("ascii")
    if "//" in path:
        path = _SLASHES.sub("/", path)
    return path, query


def _judge_fields(head: Head, host: bytes | None) -> None:
    seen: dict[bytes, bytes] = {}
    for name, value in head.headers:
        if name in _JUDGED:
            seen[name] = value if name not in seen else _twice(name, seen[name], value)
    _judge_host(head, seen.get(b"host"), host)
    if b"connection" in seen:
        options = tokens((seen[b"connection"],))
        if b"close" in options:
            head.keep_alive = False
        elif b"keep-alive" in options:
            head.keep_alive = True
        head.headers = without_nominated(head.headers, options)
    _judge_length(head, seen.get(b"content-length"), seen.get(b"transfer-encoding"))
    if (identity := seen.get(b"x-request-id")) and _REQUEST_ID.fullmatch(identity):
        head.id = identity
        pair = (b"x-request-id", identity)
        head.named_at = head.headers.index(pair) if pair in head.headers else -1
    if b"expect" in seen and head.http11:
        if seen[b"expect"].lower() != b"100-continue":
            raise Refused(417, "expectation_failed", "Only 100-continue can be expected")
        head.expects = head.length != 0


def _twice(name: bytes, first: bytes, second: bytes) -> bytes:
    if name == b"connection":
        return first + b"," + second
    if name == b"x-request-id":
        return b""  # Two are none.
    raise bad_request(f"{name.decode().title()} is there more than once")


def _judge_host(head: Head, host: bytes | None, absolute: bytes | None) -> None:
    if host is None:
        if head.http11:
            raise bad_request("Host is missing")
    elif not _AUTHORITY.fullmatch(host):
        raise bad_request("Host is malformed")
    if absolute is not None:
        others = [pair for pair in head.headers if pair[0] != b"host"]
        head.headers = [(b"host", absolute), *others]


def _judge_length(head: Head, length: bytes | None, coding: bytes | None) -> None:
    if coding is not None:
        if length is not None or not head.http11:
            raise bad_request("The length of the body is told in two ways")
        if coding.lower() != b"chunked":
            raise Refused(501, "transfer_coding", "The only transfer coding is chunked")
        head.length = CHUNKED
    elif length is not None:
        if not length.isdigit() or len(length) > 18:
            raise bad_request("Content-Length is not a number")
        head.length = int(length)
        head.told_at = head.headers.index((b"content-length", length))
