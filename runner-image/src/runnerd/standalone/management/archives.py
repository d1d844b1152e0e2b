"""POST /models/load and GET /models/{reference}/export: models as tar archives.

Source: docker/model-runner `pkg/inference/models/http_handler.go`, `pkg/distribution/tarball`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import web

from modelrunner_protocol import dmr
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.catalogue.catalogue import Catalogue, UnknownModelError
from runnerd.standalone.catalogue.export import export, size_of
from runnerd.standalone.catalogue.load import load
from runnerd.standalone.catalogue.package import package_of
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.management.unknown import unknown
from runnerd.standalone.pages import Page, RefusedError
from runnerd.weights.failure import WeightsError

_PATIENCE: Final = 60.0
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Archives:
    """Answers there."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def pages(self) -> tuple[Page, ...]:
        """What is answered here; it comes before the pages of `Models`."""
        docker = Dialect.DOCKER
        return (
            Page("/models/load", {"POST": self._load}, docker),
            Page("/models/(?P<name>.+)/export", {"GET": self._export}, docker),
        )

    async def _load(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.Response:
        try:
            await load(self._catalogue, _chunks(request))
        except PullRefusedError as error:
            raise RefusedError(reject(error.status, str(error))) from error
        return web.Response(
            body=dmr.line_bytes(dmr.loaded(), dmr.JSON),
            headers={"Server": answers.SERVER, "Content-Type": dmr.TEXT},
        )

    async def _export(
        self, request: web.BaseRequest, groups: Mapping[str, str]
    ) -> web.StreamResponse:
        name = groups["name"]
        stored = await asyncio.to_thread(self._catalogue.find, name)
        if stored is None:
            raise RefusedError(unknown(name))
        try:
            package = await asyncio.to_thread(package_of, self._catalogue, stored)
        except UnknownModelError as error:
            raise RefusedError(unknown(name)) from error
        except WeightsError as error:
            raise RefusedError(reject(422, str(error))) from error
        # Of a name that a client wrote nothing gets into a header that means something there.
        file = f"{_ODD.sub('_', name)[:100]}.tar"
        response = web.StreamResponse(
            headers={
                "Server": answers.SERVER,
                "Content-Type": "application/x-tar",
                "Content-Disposition": f'attachment; filename="{file}"',
            }
        )
        response.content_length = size_of(package)
        await response.prepare(request)
        if request.method == "GET":
            async for piece in export(package):
                await response.write(piece)
        await response.write_eof()
        return response


async def _chunks(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """What the client sends; one that pauses for too long has left."""
    while True:
        async with asyncio.timeout(_PATIENCE):
            chunk = await request.content.readany()
        if not chunk:
            return
        yield chunk
