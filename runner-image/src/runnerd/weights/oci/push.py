"""Brings an artifact into a registry.

Source: the OCI distribution-spec, "Pushing a blob monolithically", "Pushing Manifests".
"""

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from modelrunner_protocol.references import Location
from runnerd.weights.advice import MODEL, Advice
from runnerd.weights.disk import size_text
from runnerd.weights.failure import WeightsError
from runnerd.weights.http_body import read_whole
from runnerd.weights.oci import media
from runnerd.weights.oci.credentials import Keyring
from runnerd.weights.oci.package import Package, contents
from runnerd.weights.oci.registry import Endpoint, base_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

logger = logging.getLogger(__name__)

OnSent = Callable[[str, int], None]

_BLOCK: Final = 256 * 1024


async def push(
    package: Package,
    location: Location,
    session: aiohttp.ClientSession,
    keyring: Keyring,
    *,
    insecure: bool,
    advice: Advice = MODEL,
    on_sent: OnSent = lambda _digest, _size: None,
) -> None:
    """Upload what the registry does not have yet, and the manifest last.

    Args:
        package: What to upload.
        location: Where.
        session: From `http_session.new_session`.
        keyring: Who we are.
        insecure: Whether the registry is spoken to over plain http.
        advice: For whoever asked.
        on_sent: Told how many bytes of a layer are there, from any thread; less again when the
            layer has to be sent anew.

    Raises:
        WeightsError: it does not take it.
        TransientError: trying again may help.
        OSError: a file cannot be read.
    """
    endpoint = Endpoint(
        session,
        base_of(location.registry, insecure=insecure),
        name=location.registry,
        repository=location.repository,
        keyring=keyring,
        actions="pull,push",
        advice=advice,
    )
    for digest, size, source in contents(package):
        await _push_blob(endpoint, digest, size, source, on_sent)
        on_sent(digest, size)
    kind = {"Content-Type": media.MANIFEST}
    # By a digest nobody could push another artifact than that one.
    version = location.tag or package.digest
    url = endpoint.url(f"manifests/{version}")
    response = await endpoint.send("PUT", url, kind, lambda: package.manifest)
    async with response:
        await _expect(response, {201}, "the manifest")


async def _push_blob(
    endpoint: Endpoint, digest: str, size: int, source: Path | bytes, on_sent: OnSent
) -> None:
    there = await endpoint.send("HEAD", endpoint.url(f"blobs/{digest}"), {}, lambda: None)
    there.close()
    if there.status == 200:
        logger.info("%s is there already", digest)
        return
    start = await endpoint.send("POST", endpoint.url("blobs/uploads/"), {}, lambda: b"")
    async with start:
        await _expect(start, {202}, f"the upload of {digest}")
        location = start.headers.get("Location", "")
    target = start.url.join(URL(location, encoded=True)).extend_query(digest=digest)
    logger.info("uploading %s (%s)", digest, size_text(size))
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    done = await endpoint.send("PUT", target, headers, lambda: _opened(digest, source, on_sent))
    async with done:
        await _expect(done, {201}, digest)


def _opened(digest: str, source: Path | bytes, on_sent: OnSent) -> Any:
    """A body that aiohttp reads in pieces, and closes."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return io.BufferedReader(_Told(source, lambda size: on_sent(digest, size)), _BLOCK)


class _Told(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_read = on_read

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        count = super().readinto(buffer)
        self._on_read(self.tell())
        return count


async def _expect(response: aiohttp.ClientResponse, statuses: set[int], what: str) -> None:
    if response.status not in statuses:
        words = (await read_whole(response, 500)).decode("utf-8", "replace").strip()
        raise WeightsError(f"the registry answered {response.status} to {what}: {words}")
