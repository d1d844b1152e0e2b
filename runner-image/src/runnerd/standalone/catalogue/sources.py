"""Where references lead, and with which credentials."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiohttp

from modelrunner_protocol.references import HUB, Location
from modelrunner_protocol.sources import describe, parse_source
from modelrunner_protocol.wire import HuggingFaceSource, OciSource, Source
from runnerd.standalone.catalogue.names import Names
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.advice import Advice
from runnerd.weights.clock import Clock
from runnerd.weights.http_session import new_session
from runnerd.weights.oci.credentials import Keyring, Login, docker_keyring
from runnerd.weights.oci.registry import Registry
from runnerd.weights.oci.weights import Description, OciWeights
from runnerd.weights.retry import Patience
from runnerd.weights.settings import Settings
from runnerd.weights.source import WeightsSource

ADVICE: Final = Advice(
    reference="correct the name",
    login=(
        "log in (docker login, or DOCKER_USERNAME and DOCKER_PASSWORD for the default registry), or "
        "send a bearer-token"
    ),
    insecure="set INSECURE_REGISTRY=true",
)
"""For whoever runs or asks a stand-alone server."""

_LOGINS: Final = (
    ("DOCKER_USERNAME", "DOCKER_PASSWORD"),
    ("DOCKER_HUB_USER", "DOCKER_HUB_PASSWORD"),
)
_HUB_MODEL: Final = "runnerd.standalone.catalogue.hub_model"


class ModelSource(WeightsSource, Protocol):
    """A source of weights that is known by its manifest's digest before it is downloaded."""

    async def identify(self) -> str:
        """The digest, "sha256:…".

        Raises:
            WeightsError: nothing there, or not for us.
        """

    async def describe(self, version: str) -> Description:
        """What is there under that digest.

        Raises:
            WeightsError: nothing there, or nothing that can be run.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asked for.

    Attributes:
        tag: Under which it will be found; "" when it was named by its digest.
        source: Where it is.
        location: The same in parts, if it is in a registry.
        token: For this request alone. Never shown.
    """

    tag: str
    source: Source
    location: Location | None = None
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        """As people read it."""
        return describe(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Opens what references lead to.

    Args:
        names: How references are read.
        settings: How patient it is, and the mirrors.
        clock: For the retries.
        insecure: Whether registries but the Docker Hub are spoken to over plain http.
        environment: With DOCKER_USERNAME, DOCKER_PASSWORD, DOCKER_CONFIG, HOME, HF_TOKEN
            and HF_ENDPOINT.
    """

    names: Names
    settings: Settings
    clock: Clock
    insecure: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def _patience(self) -> Patience:
        return Patience(limit=self.settings.resolve_timeout, clock=self.clock)

    def wanted(self, reference: str, token: str = "") -> Wanted:
        """What a reference leads to, without asking anybody.

        Raises:
            PullRefusedError: 400: nowhere.
        """
        try:
            tag = self.names.tag_of(reference)
            found = parse_source(reference.strip())
            location = self.names.location_of(reference)
        except ValueError as error:
            raise PullRefusedError(400, str(error)) from error
        if found.hugging_face is not None:
            return Wanted(tag=tag, source=found, token=token)
        source = OciSource(reference=told(location), insecure=self.plain(location))
        return Wanted(tag=tag, source=Source(oci=source), location=location, token=token)

    @asynccontextmanager
    async def open(
        self, wanted: Wanted, known: Callable[[], Sequence[Stored]] = tuple
    ) -> AsyncIterator[ModelSource]:
        """The source itself.

        Args:
            wanted: Which one.
            known: The models that are there already.

        Raises:
            WeightsError: the logins cannot be read.
        """
        async with new_session(self.settings.stall_timeout) as session:
            if wanted.source.hugging_face is not None:
                yield await self._hub_model(wanted.source.hugging_face, wanted, session, known)
            elif wanted.location is not None:
                yield self._artifact(wanted.location, wanted, session)

    def _artifact(
        self, location: Location, wanted: Wanted, session: aiohttp.ClientSession
    ) -> OciWeights:
        registry = Registry(
            session,
            location,
            insecure=self.plain(location),
            keyring=self.keyring(location, wanted.token),
            mirrors=self.settings.mirrors.get(location.registry, ()),
            advice=ADVICE,
        )
        return OciWeights(str(wanted), location, registry, self._patience)

    async def _hub_model(
        self,
        source: HuggingFaceSource,
        wanted: Wanted,
        session: aiohttp.ClientSession,
        known: Callable[[], Sequence[Stored]],
    ) -> ModelSource:
        # Its library takes long to import; others never need it, and nobody is to wait for it.
        await asyncio.to_thread(importlib.import_module, _HUB_MODEL)
        from runnerd.standalone.catalogue.hub_model import HubModel, hub_of  # noqa: PLC0415  # see above

        return HubModel(
            source,
            hub_of(self.environment, wanted.token),
            session,
            self._patience,
            known=known,
        )

    def plain(self, location: Location) -> bool:
        """Whether a registry is spoken to over plain http."""
        return self.insecure and location.registry != HUB

    def keyring(self, location: Location, token: str) -> Keyring:
        """Who we are to a registry.

        The request's token, and only for the registry that it is about; else what the environment
        says, for the default registry; else what `docker login` has left.

        Raises:
            WeightsError: its file holds something else.
            OSError: it cannot be read.
        """
        if token:
            login = Login(registry_token=token)
            return Keyring("the request's bearer-token", {location.registry: login})
        for user, password in _LOGINS:
            name, secret = self.environment.get(user, ""), self.environment.get(password, "")
            if name and secret and location.registry == (self.names.default_registry or HUB):
                return Keyring(user, {location.registry: Login(username=name, password=secret)})
        return docker_keyring(self.environment)


def told(location: Location) -> str:
    """A reference as people read it."""
    registry = "" if location.registry == HUB else f"{location.registry}/"
    version = f"@{location.digest}" if location.digest else f":{location.tag}"
    return f"{registry}{location.repository}{version}"
