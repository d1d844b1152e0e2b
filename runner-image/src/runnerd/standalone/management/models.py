"""/models: the models that there are, as Docker Model Runner's clients list and change them.

Source: docker/model-runner `pkg/inference/models/http_handler.go`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from modelrunner_protocol.dmr import model_object, removal_answer, tag_answer
from runnerd.logs import fields
from runnerd.server import answers
from runnerd.server.dialects import SERVER_ERROR, Dialect, Rejection, reject
from runnerd.standalone.catalogue.catalogue import Catalogue, UnknownModelError
from runnerd.standalone.catalogue.names import InvalidNameError
from runnerd.standalone.catalogue.removal import Removal, SeveralTagsError
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.management.described import described
from runnerd.standalone.management.needs import Pool
from runnerd.standalone.management.recorder import Recorder
from runnerd.standalone.management.unknown import unknown
from runnerd.standalone.pages import Page, RefusedError

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_TRUE: Final = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})


class Models:
    """Answers there, save for what takes time or a stream."""

    def __init__(self, catalogue: Catalogue, pool: Pool, recorder: Recorder) -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._recorder = recorder

    def pages(self) -> tuple[Page, ...]:
        """What is answered here. The last page takes every path below /models/."""
        docker = Dialect.DOCKER
        return (
            Page("/models/?", {"GET": self._list}, docker),
            Page("/models/purge", {"DELETE": self._purge}, docker),
            Page(
                "/models/(?P<rest>.+)",
                {"GET": self._get, "DELETE": self._delete, "POST": self._act},
                docker,
            ),
        )

    async def _list(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        found = await asyncio.to_thread(self._all)
        return answers.json_answer(200, found)

    def _all(self) -> list[dict[str, object]]:
        return [model_object(described(stored)) for stored in self._catalogue.models()]

    async def _get(self, request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        name = groups["rest"]
        if _truth(request, "remote"):
            raise _not_here("inspect --remote", "pull the model and inspect it here")
        stored = await self.stored(name)
        return answers.json_answer(200, model_object(await asyncio.to_thread(described, stored)))

    async def _delete(self, request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        done = await self.remove(groups["rest"], force=_truth(request, "force"))
        return answers.json_answer(200, removal_answer(done))

    async def remove(self, name: str, *, force: bool) -> list[tuple[str, str]]:
        """Take a model away; engines that run it end when they are idle.

        Raises:
            RefusedError: 404, 409 when it has other names, too, 500 when the volume forbids it.
        """
        try:
            done = await _changed(self._catalogue.remove, name, force=force)
        except UnknownModelError as error:
            raise RefusedError(unknown(name)) from error
        except SeveralTagsError as error:
            raise RefusedError(reject(409, str(error))) from error
        gone = [identity for what, identity in done if what is Removal.DELETED]
        await self._forget(gone)
        return [(what.value, text) for what, text in done]

    async def _forget(self, gone: Collection[str]) -> None:
        for identity in gone:
            self._recorder.forget(identity)
            self._pool.forget(identity)
        if gone:
            await self._pool.unload(gone)

    async def _purge(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        await self._forget(await _changed(self._catalogue.purge))
        return web.Response(status=200, headers={"Server": answers.SERVER})

    async def _act(self, request: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        name, _, action = groups["rest"].rpartition("/")
        if action == "tag":
            return await self._tag(request, name)
        if action == "repackage":
            raise _not_here(action, "set the context's size with docker model configure")
        raise RefusedError(reject(404, f'unknown action "{action[:80]}"'))

    async def _tag(self, request: web.BaseRequest, name: str) -> web.Response:
        repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
        if not repository or not tag:
            raise RefusedError(reject(400, "missing repo or tag query parameter"))
        target = f"{repository}:{tag}"
        await self.tag(name, target)
        return answers.json_answer(201, tag_answer(target))

    async def tag(self, name: str, target: str) -> None:
        """Give a model one more name.

        Raises:
            RefusedError: 404 for an unknown model, 400 for what is no name, 500 when the volume
                forbids it.
        """
        try:
            await _changed(self._catalogue.tag, name, target)
        except UnknownModelError as error:
            raise RefusedError(unknown(name)) from error
        except InvalidNameError as error:
            raise RefusedError(reject(400, str(error))) from error

    async def stored(self, name: str) -> Stored:
        """The model that a name means.

        Raises:
            RefusedError: 404.
        """
        found = await asyncio.to_thread(self._catalogue.find, name)
        if found is None:
            raise RefusedError(unknown(name))
        return found


async def _changed(change: Callable[_P, _T], *given: _P.args, **named: _P.kwargs) -> _T:
    """Change the catalogue; where the volume forbids it, say so: it is for somebody to mend."""
    try:
        return await asyncio.to_thread(change, *given, **named)
    except OSError as error:
        log.warning("the models' volume cannot be written", extra=fields(cause=str(error)))
        text = f"the models' volume cannot be written: {error.strerror or type(error).__name__}"
        raise RefusedError(Rejection(500, text, SERVER_ERROR)) from error


def _truth(request: web.BaseRequest, name: str) -> bool:
    """Whether a query says so; `?force` without a value does."""
    return name in request.query and request.query[name] in _TRUE


def _not_here(what: str, instead: str) -> RefusedError:
    return RefusedError(reject(501, f"{what} is not supported by this server: {instead}"))
