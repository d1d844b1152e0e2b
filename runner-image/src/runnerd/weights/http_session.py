"""The HTTP client of a pull: proxies and certificates from the environment, few redirects."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from modelrunner_protocol.sources import describe_url
from runnerd.weights.failure import TransientError, WeightsError
from runnerd.weights.http_status import REDIRECTS, transient
from runnerd.weights.settings import CONNECT_TIMEOUT

MOST_REDIRECTS: Final = 5

FINAL_URL: Final = "name the file's final URL in spec.source.http.url"

_BUFFER: Final = 1024 * 1024
# Signed redirect targets of object stores and hubs are a few KiB long.
_LONGEST_HEADER: Final = 32 * 1024
_WIRE_SAFE: Final = re.compile(r"[!-~]+")


def new_session(stall_timeout: float) -> aiohttp.ClientSession:
    """A client that keeps to the environment: *_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR.

    Who we are is said by Secrets alone: for that a command first sets aside the .netrc.

    Args:
        stall_timeout: Seconds without a byte after which a connection is dead.
    """
    from importlib.metadata import version  # noqa: PLC0415  # slow to import, and not all pull

    return aiohttp.ClientSession(
        trust_env=True,
        auto_decompress=False,
        # Ranges count the bytes of the file, not those of a compressed form. The session's own
        # headers only say who we are; what must not cross hosts is in the URL.
        headers={
            "User-Agent": f"model-runner-operator/{version('runnerd')}",
            "Accept-Encoding": "identity",
        },
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=stall_timeout
        ),
        connector=aiohttp.TCPConnector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_BUFFER,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )


def parse_url(text: str) -> URL:
    """A URL, with the very escapes it was written with: a signature may cover them.

    Raises:
        WeightsError: not an http(s) URL.
    """
    try:
        url = URL(text, encoded=_WIRE_SAFE.fullmatch(text) is not None)
        host = url.host
    except ValueError as error:
        raise WeightsError(f"the URL {describe_url(text)} cannot be read: {error}") from error
    if url.scheme not in {"http", "https"} or not host:
        raise WeightsError(
            f"the URL {describe_url(text)} is not an http:// or https:// URL: "
            "correct spec.source.http.url"
        )
    return url


@asynccontextmanager
async def get(
    session: aiohttp.ClientSession,
    url: URL,
    headers: dict[str, str],
    *,
    authorization: str = "",
    mend: str = FINAL_URL,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET with at most five redirects, each checked; the body is not read.

    Credentials in the URL and `authorization` go to the origin they were meant for and to no
    other; the other headers go wherever a redirect leads.

    Args:
        session: From `new_session`.
        url: From `parse_url`.
        headers: For every request.
        authorization: An Authorization header for the URL's own origin.
        mend: What to do about a redirect that is not followed, for messages.

    Raises:
        TransientError: no connection, no answer in time, an answer that is not HTTP.
        WeightsError: a redirect that is not followed, a certificate that is not trusted.
    """
    async with AsyncExitStack() as stack:
        current = url
        for _ in range(MOST_REDIRECTS + 1):
            own = {"Authorization": authorization} if authorization else {}
            same = current.origin() == url.origin()
            response = await send(session, "GET", current, headers | (own if same else {}))
            stack.callback(response.close)
            if response.status not in REDIRECTS:
                yield response
                return
            current = _next(url, current, response.headers.get("Location", ""), mend)
            response.close()
    raise WeightsError(
        f"{describe_url(str(url))} redirects more than {MOST_REDIRECTS} times: {mend}"
    )


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: dict[str, str],
    data: Any = None,
) -> aiohttp.ClientResponse:
    """One request; redirects are not followed, the body of the answer is not read.

    Raises:
        TransientError: no connection, no answer in time, an answer that is not HTTP.
        WeightsError: a certificate that is not trusted, an odd URL.
    """
    where = describe_url(str(url))
    try:
        return await session.request(method, url, headers=headers, data=data, allow_redirects=False)
    except aiohttp.ClientConnectorCertificateError as error:
        raise WeightsError(
            f"{where}: its certificate is not trusted ({error.certificate_error}): "
            f"mount the issuer's certificate and set SSL_CERT_FILE{_missing_certificates()}"
        ) from error
    except aiohttp.InvalidURL as error:
        raise WeightsError(
            f"the URL {where}, or that of the proxy in HTTP_PROXY or HTTPS_PROXY, cannot be requested: "
            "correct it"
        ) from error
    except aiohttp.ClientHttpProxyError as error:
        raise _by_proxy(url, error) from error
    except aiohttp.ClientProxyConnectionError as error:
        raise TransientError(
            f"the proxy {error.host}:{error.port} does not answer ({reason_of(error)})"
        ) from error
    except aiohttp.ClientResponseError as error:
        raise TransientError(
            f"{url.host} answers with what is not HTTP, or with too long headers"
        ) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransientError(f"{url.host} does not answer ({reason_of(error)})") from error


def _missing_certificates() -> str:
    """What nobody else tells: the files are looked for, and done without."""
    named = os.environ.get("SSL_CERT_FILE", "")
    return f" (which is {named}, and not there)" if named and not Path(named).is_file() else ""


def _by_proxy(url: URL, error: aiohttp.ClientHttpProxyError) -> Exception:
    where = f"the proxy of the environment answered {error.status} when asked for {url.host}"
    if (passing := transient(error.status, error.headers or {})) is not None:
        return TransientError(where, retry_after=passing.retry_after)
    mend = "correct the user and password in HTTPS_PROXY" if error.status == 407 else "mend it"
    return WeightsError(f"{where}: {mend}, or name the host in NO_PROXY")


def reason_of(error: BaseException) -> str:
    """A network error in words, without the URL that aiohttp repeats in its messages."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name is not known to DNS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _next(first: URL, current: URL, location: str, mend: str) -> URL:
    where = describe_url(str(first))
    if not location:
        raise WeightsError(f"{where} redirects without saying where to: name the file itself")
    target = _joined(where, current.with_user(None), location)
    if target.scheme not in {"http", "https"} or not target.host:
        raise WeightsError(
            f"{where} redirects to a {target.scheme or 'broken'}: URL, and only http and https are "
            f"followed: {mend}"
        )
    if current.scheme == "https" and target.scheme == "http":
        raise WeightsError(
            f"{where} redirects from https to http ({target.host}), which is not followed: {mend}"
        )
    if target.origin() == current.origin() and current.user is not None:
        target = target.with_user(current.user).with_password(current.password)
    return target


def _joined(where: str, current: URL, location: str) -> URL:
    try:
        found = current.join(URL(location, encoded=_WIRE_SAFE.fullmatch(location) is not None))
        # Only who asks is told that it is none.
        _ = found.port
    except ValueError as error:
        raise WeightsError(f"{where} redirects to a URL that cannot be read: {error}") from error
    return found
