"""Pushes: models of the catalogue into registries."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from modelrunner_protocol import dmr
from modelrunner_protocol.references import Location
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.package import package_of
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.sources import ADVICE, Sources
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.catalogue.telling import telling
from runnerd.weights.http_session import new_session
from runnerd.weights.oci.package import Layer, Package
from runnerd.weights.oci.push import push

_INTERVAL: Final = 0.1


class Pushes:
    """Brings models of a catalogue into registries.

    Args:
        catalogue: Where they are.
        sources: Knows the registries and the logins.
    """

    def __init__(self, catalogue: Catalogue, sources: Sources) -> None:
        self._catalogue = catalogue
        self._sources = sources

    async def push(self, name: str, *, token: str = "") -> AsyncGenerator[dmr.Line, None]:
        """Push a model under a name that it has; tells how far it is.

        Closing the iterator stops it.

        Args:
            name: A reference with the registry in it, for others than the default one.
            token: A bearer token for that registry, for this push alone.

        Yields:
            Progress, then one success or one error.

        Raises:
            PullRefusedError: instead of the first event.
        """
        stored = self._catalogue.find(name, loosely=False)
        if stored is None:
            raise PullRefusedError(404, f"there is no model {name[:200]!r} here to push")
        wanted = self._sources.wanted(name, token)
        if wanted.location is None:
            raise PullRefusedError(400, f"{wanted} is no registry: models are pushed to registries")
        pushing = self._push(stored, wanted.location, token)
        events = telling(pushing, f"pushing {wanted}", self._catalogue.root, dmr.Way.PUSH)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _push(
        self, stored: Stored, location: Location, token: str
    ) -> AsyncGenerator[dmr.Line, None]:
        package = await asyncio.to_thread(package_of, self._catalogue, stored)
        sent: dict[str, int] = {}
        work = asyncio.create_task(self._upload(package, location, token, sent))
        try:
            said: dict[str, int] = {}
            while not work.done():
                await asyncio.wait({work}, timeout=_INTERVAL)
                for layer in package.layers:
                    current = min(sent.get(layer.digest, -1), layer.size)
                    if current not in {-1, said.get(layer.digest)}:
                        said[layer.digest] = current
                        yield _line(package, layer, current)
            work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
        yield dmr.pulled(dmr.Way.PUSH)

    async def _upload(
        self, package: Package, location: Location, token: str, sent: dict[str, int]
    ) -> None:
        async with new_session(self._sources.settings.stall_timeout) as session:
            await push(
                package,
                location,
                session,
                self._sources.keyring(location, token),
                insecure=self._sources.plain(location),
                advice=ADVICE,
                on_sent=sent.__setitem__,
            )


def _line(package: Package, layer: Layer, current: int) -> dmr.Line:
    return dmr.downloaded(
        layer.digest, size=layer.size, current=current, total=package.size, way=dmr.Way.PUSH
    )
