"""Bytes that are requests, and bytes that are not: a row per rule."""

from typing import Final

from tests.support.http_wire import chunked

ACCEPTED: Final = {
    "plain": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "host empty": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "host with port": b"GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n",
    "host of IPv6": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "1.0 without a host": b"GET / HTTP/1.0\r\n\r\n",
    "white space around a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: \t b c\t \r\n\r\n",
    "empty value": b"GET / HTTP/1.1\r\nHost: x\r\nA:\r\nB: \r\n\r\n",
    "Latin-1 in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: \xe9\r\n\r\n",
    "absolute form": b"GET http://a.example:1/p?q HTTP/1.1\r\nHost: b\r\n\r\n",
    "absolute form without a path": b"GET HTTP://a.example?q HTTP/1.1\r\nHost: b\r\n\r\n",
    "empty line before": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length 0": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "length with zeros": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 003\r\n\r\nabc",
    "body of a GET": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ChunkeD\r\n\r\n"
    + chunked(b"abc"),
    "an id": b"POST / HTTP/1.1\r\nHost: x\r\nX-Request-Id: an-id\r\nContent-Length: 3\r\n\r\nabc",
    "an id behind": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nx-request-id: b\r\n\r\nabc",
    "two ids": b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n",
    "an id that is none": b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n",
    "an id for this hop": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Request-Id\r\n"
    b"X-Request-Id: a\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "upgrade with a body": b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n"
    b"Content-Length: 3\r\n\r\nabc",
    "expectation": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n"
    b"Content-Length: 3\r\n\r\nabc",
    "unknown expectation of 1.0": b"GET / HTTP/1.0\r\nHost: x\r\nExpect: x\r\n\r\n",
}
REFUSED: Final = {
    "bare LF in the request line": (400, b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    "bare LF after a field": (400, b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    "bare LF only": (400, b"GET / HTTP/1.1\nHost: x\n\n"),
    "bare LF at the end": (400, b"GET / HTTP/1.1\r\nHost: x\r\n\n"),
    "bare LF before": (400, b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "bare CR in a value": (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"),
    "bare CR before": (400, b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "only empty lines": (400, b"\r\n" * 100),
    "folded field": (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
    "folded first field": (400, b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    "space before the colon": (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    "no name": (400, b"GET / HTTP/1.1\r\n: x\r\n\r\n"),
    "no colon": (400, b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
    "NUL in a name": (400, b"GET / HTTP/1.1\r\nHo\x00st: x\r\n\r\n"),
    "NUL in a value": (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n"),
    "control in a value": (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: \x07\r\n\r\n"),
    "NUL in the target": (400, b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "not ASCII in the target": (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "fragment in the target": (400, b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "space at the end of the line": (400, b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    "tab for a space": (400, b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no target": (400, b"GET HTTP/1.1\r\nHost: x\r\n\r\n"),
    "asterisk": (400, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    "authority form": (400, b"GET a.example:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "absolute form without a host": (400, b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"),
    "absolute form with a user": (400, b"GET http://u@a/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "other scheme": (400, b"GET ftp://a/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
    "host with a path": (400, b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    "host with a space": (400, b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n"),
    "two hosts in one": (400, b"GET / HTTP/1.1\r\nHost: x,y@z\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\nHost: x\r\n\r\n"),
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    "preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "lower-case protocol": (400, b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    "another protocol": (400, b"GET / RTSP/1.0\r\nHost: x\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "unknown method": (501, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "lower-case method": (501, b"get / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "method of WebDAV": (501, b"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "endless method": (400, b"A" * 40),
    "CONNECT": (405, b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "TRACE": (405, b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "length and coding": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "coding and length": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    ),
    "two lengths": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ),
    "one length twice": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    ),
    "list of lengths": (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"),
    "signed length": (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"),
    "negative length": (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc"),
    "hexadecimal length": (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc"),
    "empty length": (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nabc"),
    "length beyond 64 bits": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ),
    "length above the limit": (
        413,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    ),
    "coding of 1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "unknown coding": (501, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "chunked is not last": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ),
    "another before chunked": (
        501,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ),
    "chunked twice": (
        400,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    ),
    "two codings": (
        400,
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Transfer-Encoding: identity\r\n\r\n"
        ),
    ),
    "coding with a tail": (
        501,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ),
    "bad chunk": (400, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "unknown expectation": (417, b"GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n"),
    "two expectations": (
        400,
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
    ),
    "long target": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "endless target": (414, b"GET /" + b"a" * 70_000),
    "large head": (431, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"),
    "endless fields": (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000),
}
SEEDS: Final = [*ACCEPTED.values(), *(data for _, data in REFUSED.values() if len(data) < 1000)]
