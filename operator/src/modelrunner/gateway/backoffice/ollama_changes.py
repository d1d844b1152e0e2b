"""The requests of Ollama's clients that change models: pull, delete and copy."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from modelrunner.gateway.backoffice.asking import allowed, json_answer, managing, may
from modelrunner.gateway.backoffice.catalogue import Catalogue
from modelrunner.gateway.backoffice.pulling import ollama_lines, pulled, sent
from modelrunner.gateway.dialects import LINES, Refused
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol.ollama import unknown_model


class Asked(msgspec.Struct):
    """A request about a model; `name` is an older word for `model`."""

    model: str | None = None
    name: str | None = None
    source: str | None = None
    destination: str | None = None
    stream: bool | None = None


_decode: Final = msgspec.json.Decoder(Asked).decode


class Changes:
    """The handlers; without `management` each of them is 403."""

    def __init__(self, catalogue: Catalogue, management: Management | None) -> None:
        self._catalogue = catalogue
        self._management = management

    @property
    def handlers(self) -> Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Them by their paths."""
        return {"/api/pull": self._pull, "/api/delete": self._delete, "/api/copy": self._copy}

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        management = managing(request, self._management)
        asked = asked_of(await request.read())
        name = required(asked.model or asked.name)
        made = await management.making.model_of(name, may(request))
        if asked.stream is False:
            return json_answer(await pulled(management, made))
        return await sent(request, ollama_lines(management, made), LINES.decode())

    async def _delete(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        asked = asked_of(await request.read())
        name = required(asked.model or asked.name)
        await management.removing.remove(self._known(name, request), name, force=False)
        return web.Response()

    async def _copy(self, request: web.Request) -> web.Response:
        management = managing(request, self._management)
        asked = asked_of(await request.read())
        source = self._known(required(asked.source), request)
        await management.changing.tag(source, required(asked.destination))
        return web.Response()

    def _known(self, name: str, request: web.Request) -> ModelEntry:
        found = self._catalogue.meant(name, allowed(request))
        if found is None:
            raise Refused(404, "model_not_found", unknown_model(name), "model")
        return found


def asked_of(body: bytes) -> Asked:
    """Read a request.

    Raises:
        Refused: 400.
    """
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body is no such request: {error}") from error


def required(name: str | None) -> str:
    """A name that has to be there.

    Raises:
        Refused: 400.
    """
    if name:
        return name
    raise Refused(400, "model_required", "model is required", "model")
