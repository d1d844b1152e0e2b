"""/engines: what runs, what it takes, and how it is to run.

Source: docker/model-runner `pkg/inference/scheduling/http_handler.go`. Nothing here waits for an
engine: what is configured is loaded after the answer.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from modelrunner_protocol import configure, dmr
from modelrunner_protocol.configure import Configuration, ConfigureError
from modelrunner_protocol.wire import Mode
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.management.bodies import body_object, wrong_shape
from runnerd.standalone.management.needs import Pool
from runnerd.standalone.meant import meant_mode
from runnerd.standalone.pages import Page, RefusedError

log = logging.getLogger(__name__)

_HERE: Final = configure.LLAMA_CPP
_MISSING: Final = "this server starts llama.cpp only"
_BACKEND: Final = "/engines(?:/(?P<backend>[^/]+))?"


class Engines:
    """Answers there.

    Args:
        catalogue: The models.
        pool: The engines.
        program: The engine's program, to tell its size; "" when it is not known.
    """

    def __init__(self, catalogue: Catalogue, pool: Pool, *, program: str = "") -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._program = program
        self._preloads: set[asyncio.Task[None]] = set()

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        docker = Dialect.DOCKER
        return (
            Page("/engines/status", {"GET": self._status}, docker),
            Page("/engines/ps", {"GET": self._ps}, docker),
            Page("/engines/df", {"GET": self._df}, docker),
            Page(f"{_BACKEND}/unload", {"POST": self._unload}, docker),
            Page(f"{_BACKEND}/_unload", {"POST": self._unload_one}, docker),
            Page(
                f"{_BACKEND}/_configure",
                {"GET": self._configurations, "POST": self._configure},
                docker,
            ),
            Page("/engines/(?:un)?install-backend", {"POST": self._install}, docker),
        )

    async def close(self) -> None:
        """Let go of what is being loaded for nobody."""
        for task in self._preloads:
            task.cancel()
        await asyncio.gather(*self._preloads, return_exceptions=True)

    async def _status(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        missing = dmr.missing_status(_MISSING)
        told = dict.fromkeys(sorted(configure.BACKENDS), missing)
        return answers.json_answer(200, told | {configure.LLAMA_CPP: self._standing()})

    def _standing(self) -> str:
        if self._program and not os.access(self._program, os.X_OK):
            return dmr.broken_status("llama-server cannot be run: see LLAMA_SERVER_PATH")
        return dmr.running_status(configure.LLAMA_CPP)

    async def _ps(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        rows = [
            dmr.running_row(
                backend=one.backend,
                model=one.name,
                mode=one.mode.value,
                last_used=one.last_used,
                in_use=one.in_use,
                loading=one.loading,
                keep_alive=one.keep_alive,
            )
            for one in self._pool.running()
        ]
        return answers.json_answer(200, rows)

    async def _df(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        models = await asyncio.to_thread(self._catalogue.usage)
        try:
            backend = os.stat(self._program).st_size if self._program else 0  # noqa: PTH116  # one call, no wait
        except OSError:
            backend = 0
        return answers.json_answer(200, dmr.disk_usage(models=models, backend=backend))

    async def _unload(self, request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        _known(groups["backend"])
        try:
            asked = dmr.unload_request(await body_object(request))
        except dmr.ShapeError as error:
            raise wrong_shape(error) from error
        return await self._unloaded(asked, asked.backend or groups["backend"])

    async def _unload_one(
        self, request: web.BaseRequest, groups: Mapping[str, str]
    ) -> web.Response:
        _known(groups["backend"])
        try:
            asked = dmr.underscore_unload_request(await body_object(request))
        except dmr.ShapeError as error:
            raise wrong_shape(error) from error
        return await self._unloaded(asked, groups["backend"])

    async def _unloaded(self, asked: dmr.Unload, backend: str) -> web.Response:
        """Names that nobody knows run nowhere; an engine in use ends when it is idle."""
        if backend not in {"", _HERE}:
            return answers.json_answer(200, dmr.unload_answer(0))
        identities = None if asked.all else await self._identities(asked.models)
        count = await self._pool.unload(identities)
        return answers.json_answer(200, dmr.unload_answer(count))

    async def _identities(self, names: tuple[str, ...]) -> set[str]:
        found = [await asyncio.to_thread(self._catalogue.find, name) for name in names]
        return {stored.identity for stored in found if stored}

    async def _configurations(
        self, request: web.BaseRequest, groups: Mapping[str, str]
    ) -> web.Response:
        _known(groups["backend"])
        identity: str | None = None
        if name := request.query.get("model", ""):
            stored = await asyncio.to_thread(self._catalogue.find, name)
            if stored is None:
                return answers.json_answer(200, [])
            identity = stored.identity
        tags = {one.identity: one.tags for one in await asyncio.to_thread(self._catalogue.models)}
        entries = [
            configure.told_entry(
                one.configuration,
                backend=configure.LLAMA_CPP,
                model=next(iter(tags.get(one.identity, ())), one.identity),
                identity=one.identity,
                mode=one.mode.value,
            )
            for one in self._pool.configurations(identity)
        ]
        return answers.json_answer(200, entries)

    async def _configure(self, request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        _known(groups["backend"])
        data = await body_object(request)
        try:
            asked = configure.configure_request(data)
            stored = await self._stored(asked.model)
            said = configure.checked(asked.configuration, _suited(groups["backend"], stored))
            if said.speculative:
                await self._drafted(said.speculative.draft_model)
        except ConfigureError as error:
            raise RefusedError(reject(error.status, str(error), param=error.param)) from error
        mode = asked.mode or self._meant(stored)
        self._pool.configure(stored.identity, said, mode)
        self._preload(stored, mode, asked.model, said)
        return web.Response(status=202, headers={"Server": answers.SERVER})

    async def _stored(self, name: str) -> Stored:
        stored = await asyncio.to_thread(self._catalogue.find, name)
        if stored is None:
            raise ConfigureError("model not found: pull it first", param="model", status=404)
        return stored

    async def _drafted(self, name: str) -> None:
        if await asyncio.to_thread(self._catalogue.find, name) is None:
            raise ConfigureError(
                f"speculative.draft_model: there is no model {name[:200]!r} here: pull it first",
                param="speculative.draft_model",
            )

    def _meant(self, stored: Stored) -> Mode:
        """The mode of a model where none is said: the only one that it has, else the usual."""
        return meant_mode(stored, self._pool.running(), self._pool.configurations())

    def _preload(self, stored: Stored, mode: Mode, name: str, said: Configuration) -> None:
        """Load it in the background, so that the first request need not wait."""
        if said.keep_alive == 0:
            return
        task = asyncio.create_task(self._load(stored, mode, name))
        self._preloads.add(task)
        task.add_done_callback(self._preloads.discard)

    async def _load(self, stored: Stored, mode: Mode, name: str) -> None:
        try:
            await self._pool.preload(stored, mode, name=name)
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody waits for it
            log.warning("a model was not preloaded", extra=fields(model=name, cause=str(error)))

    async def _install(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        raise RefusedError(reject(501, f"backends come with the server's image: {_MISSING}"))


def _known(backend: str) -> None:
    """Refuse a path that names a backend which nobody knows."""
    if backend and backend not in configure.BACKENDS:
        raise RefusedError(reject(404, "backend not found", code="backend_not_found"))


def _suited(asked: str, stored: Stored) -> str:
    """The backend for a model, which is also one that this server starts."""
    found = configure.backend_of(asked, stored.artifact.format, configure.BACKENDS)
    if found != _HERE:
        raise ConfigureError(f"this model needs {found}, and {_MISSING}", status=501)
    return found
