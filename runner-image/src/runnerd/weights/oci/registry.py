"""Reads from one repository of a registry, by way of its mirrors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
from yarl import URL

from modelrunner_protocol.references import HUB, Location
from runnerd.weights.advice import MODEL, Advice
from runnerd.weights.failure import MissingError, TransientError, WeightsError
from runnerd.weights.http_body import read_whole
from runnerd.weights.http_session import get, send
from runnerd.weights.http_status import transient
from runnerd.weights.oci.auth import Authorizer
from runnerd.weights.oci.credentials import Keyring

logger = logging.getLogger(__name__)

_HUB_HOST: Final = "registry-1.docker.io"
_MIRROR_PATIENCE: Final = 5.0
"""Seconds in which a mirror has to begin an answer; less than a resolve may take."""

_CONTENT: Final = frozenset({200, 206, 416})


class Endpoint:
    """One server that speaks for a repository: the registry itself, or a mirror.

    Args:
        session: From `http_session.new_session`.
        base: Its URL, without "/v2".
        name: The registry as Secrets name it.
        repository: On this server.
        keyring: What we know.
        actions: "pull" or "pull,push".
        advice: For whoever asked.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        name: str,
        repository: str,
        keyring: Keyring,
        actions: str = "pull",
        advice: Advice = MODEL,
    ) -> None:
        self.base = base.rstrip("/")
        self.name = name
        self.session = session
        self.repository = repository
        self.authorization = ""
        self.advice = advice
        self._renewing = asyncio.Lock()
        self.authorizer = Authorizer(
            session=session,
            registry=name,
            repository=repository,
            actions=actions,
            keyring=keyring,
            secure=base.startswith("https:"),
            advice=advice,
        )

    def url(self, path: str) -> URL:
        """The URL of something in the repository."""
        return URL(f"{self.base}/v2/{self.repository}/{path}", encoded=True)

    async def send(
        self, method: str, url: URL, headers: Mapping[str, str], data: Callable[[], Any]
    ) -> aiohttp.ClientResponse:
        """Another request to the repository; `data` makes its body, for each attempt anew.

        Raises:
            WeightsError: not for us.
            TransientError: trying again may help.
        """
        for renewed in (False, True):
            used = self.authorization
            own = {"Authorization": used} if used else {}
            mine = url.origin() == self.url("").origin()
            response = await send(
                self.session, method, url, {**headers, **(own if mine else {})}, data()
            )
            if response.status == 401 and mine and not renewed:
                challenges = response.headers.getall("WWW-Authenticate", [])
                response.close()
                await self._renew(used, challenges)
                continue
            refused = transient(response.status, response.headers)
            if refused is None and response.status not in {401, 403}:
                return response
            response.close()
            raise refused or self.authorizer.denied(response.status)
        raise self.authorizer.denied(401)

    @asynccontextmanager
    async def get(
        self, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET "manifests/…" or "blobs/…": a 200, 206 or 416 whose body is not read yet.

        Raises:
            WeightsError: it is not there, or not for us.
            TransientError: trying again may help.
        """
        used, challenges = "", list[str]()
        for renewed in (False, True):
            if renewed:
                await self._renew(used, challenges)
            used = self.authorization
            async with AsyncExitStack() as stack:
                response = await self._open(stack, path, headers)
                if response.status != 401 or renewed or self._elsewhere(response):
                    self._check(response, path)
                    yield response
                    return
                challenges = response.headers.getall("WWW-Authenticate", [])

    async def _renew(self, used: str, challenges: Sequence[str]) -> None:
        """Get another authorization than the one that was refused."""
        async with self._renewing:
            # Of connections side by side one is the first to notice, and asks for all.
            if self.authorization == used:
                self.authorization = await self.authorizer.authorize(challenges)

    async def _open(
        self, stack: AsyncExitStack, path: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        opening = get(
            self.session,
            self.url(path),
            dict(headers),
            authorization=self.authorization,
            mend="mend the registry",
        )
        try:
            return await stack.enter_async_context(opening)
        except TransientError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorSSLError):
                raise WeightsError(
                    f"the registry {self.name} does not speak https: mend it, or "
                    f"{self.advice.insecure} if plain http is meant"
                ) from error
            raise

    def _elsewhere(self, response: aiohttp.ClientResponse) -> bool:
        return response.url.origin() != self.url("").origin()

    def _check(self, response: aiohttp.ClientResponse, path: str) -> None:
        status = response.status
        if status in _CONTENT:
            return
        if (passing := transient(status, response.headers)) is not None:
            raise passing
        if self._elsewhere(response) and status in {401, 403}:
            # A signed URL is good for minutes only: the registry makes a new one.
            raise TransientError(f"{response.url.host} answered {status}")
        if status in {401, 403}:
            raise self.authorizer.denied(status)
        kind, _, what = path.partition("/")
        where = f"the registry {self.name}"
        if status == 404 and kind == "manifests":
            raise MissingError(
                f"{where} has no {self.repository} with the {'digest' if ':' in what else 'tag'} "
                f"{what}: {self.advice.reference}"
            )
        if status == 404:
            raise WeightsError(
                f"{where} has lost the layer {what} of {self.repository}: push the artifact again",
                # Or its tag has moved and the old layers are gone: a later try resolves anew.
                retryable=True,
            )
        raise WeightsError(
            f"{where} answered {status} when asked for {kind}/{what}", retryable=True
        )


class Registry:
    """A repository, on its mirrors and on its registry.

    Args:
        session: From `http_session.new_session`.
        location: Which one.
        insecure: Whether its registry is spoken to over plain http.
        keyring: What we know.
        mirrors: URLs to try before the registry itself.
        advice: For whoever asked.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        location: Location,
        *,
        insecure: bool,
        keyring: Keyring,
        mirrors: Sequence[str] = (),
        advice: Advice = MODEL,
    ) -> None:
        self._mirrors = [
            Endpoint(
                session,
                mirror,
                name=URL(mirror).authority,
                repository=location.repository,
                keyring=keyring,
                advice=advice,
            )
            for mirror in mirrors
        ]
        self._origin = Endpoint(
            session,
            base_of(location.registry, insecure=insecure),
            name=location.registry,
            repository=location.repository,
            keyring=keyring,
            advice=advice,
        )

    @asynccontextmanager
    async def get(
        self, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See `Endpoint.get`; what a mirror does not have, the registry is asked for."""
        async with AsyncExitStack() as stack:
            yield await self._first(stack, path, headers)

    async def read(self, path: str, headers: Mapping[str, str], limit: int) -> tuple[bytes, str]:
        """A small document and its media type.

        Raises:
            WeightsError: see `Endpoint.get`; or it is longer than `limit` bytes.
            TransientError: trying again may help.
        """
        async with self.get(path, headers) as response:
            data = await read_whole(response, limit)
            if len(data) > limit:
                raise WeightsError(
                    f"the registry {self._origin.name} sends more than {limit} bytes as {path}: no "
                    "model has such a manifest or config"
                )
            return data, response.headers.get("Content-Type", "")

    async def _first(
        self, stack: AsyncExitStack, path: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        for mirror in list(self._mirrors):
            try:
                async with asyncio.timeout(_MIRROR_PATIENCE):
                    return await stack.enter_async_context(mirror.get(path, headers))
            except WeightsError as error:
                logger.warning("the mirror %s does not help: %s", mirror.name, error)
            except (TransientError, TimeoutError) as error:
                # To wait for it at every request would cost more than it can save.
                self._mirrors.remove(mirror)
                why = str(error) or "no answer in time"
                logger.warning("the mirror %s is not asked again: %s", mirror.name, why)
        return await stack.enter_async_context(self._origin.get(path, headers))


def base_of(registry: str, *, insecure: bool) -> str:
    """The URL under which a registry answers."""
    host = _HUB_HOST if registry == HUB else registry
    return f"{'http' if insecure else 'https'}://{host}"
