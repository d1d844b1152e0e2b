"""/api: how Ollama's clients pull, push, copy and delete models.

Source: ollama/ollama docs/api.md, server/routes.go.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from modelrunner_protocol.dmr import Kind, Line, Way
from modelrunner_protocol.ollama import SUCCESS, doing, pulling, pushing, unknown_model
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.management.bodies import body_object
from runnerd.standalone.management.models import Models
from runnerd.standalone.management.needs import Puller, Pusher
from runnerd.standalone.management.steps import first_of, told_in_lines
from runnerd.standalone.pages import Page, RefusedError

_LINES: Final = "application/x-ndjson"


class OllamaModels:
    """Answers there."""

    def __init__(self, models: Models, pulls: Puller, pushes: Pusher) -> None:
        self._models = models
        self._pulls = pulls
        self._pushes = pushes

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        ollama = Dialect.OLLAMA
        return (
            Page("/api/pull", {"POST": self._pull}, ollama),
            Page("/api/delete", {"DELETE": self._delete}, ollama),
            Page("/api/copy", {"POST": self._copy}, ollama),
            Page("/api/push", {"POST": self._push}, ollama),
            Page("/api/create", {"POST": self._create}, ollama),
            Page("/api/blobs/.*", {"POST": self._create, "GET": self._create}, ollama),
        )

    async def _pull(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        body = await body_object(request)
        return await _moved(request, body, self._pulls.pull(_name(body)))

    async def _push(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        body = await body_object(request)
        return await _moved(request, body, self._pushes.push(_name(body)))

    async def _delete(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.Response:
        name = _name(await body_object(request))
        await self._known(name)
        await self._models.remove(name, force=False)
        return answers.json_answer(200, {})

    async def _copy(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.Response:
        body = await body_object(request)
        source, destination = _text(body, "source"), _text(body, "destination")
        if not source or not destination:
            raise RefusedError(reject(400, "source and destination are required"))
        await self._known(source)
        await self._models.tag(source, destination)
        return answers.json_answer(200, {})

    async def _create(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        text = "models are not made here: package one, push it to a registry and pull it"
        raise RefusedError(reject(501, text))

    async def _known(self, name: str) -> None:
        """Refuse an unknown name in Ollama's words."""
        try:
            await self._models.stored(name)
        except RefusedError as error:
            raise RefusedError(reject(404, unknown_model(name))) from error


async def _moved(
    request: web.BaseRequest, body: Mapping[str, Any], events: AsyncGenerator[Line, None]
) -> web.StreamResponse:
    """Line by line, or with `stream: false` when it is done."""
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise RefusedError(reject(400, "'stream' must be true or false", param="stream"))
    if stream is not False:
        return await told_in_lines(
            request, events, content_type=_LINES, lines=_lines, failure=_failure
        )
    async with aclosing(events):
        told = [await first_of(events), *[event async for event in events][-1:]]
    if told[-1].kind is Kind.ERROR:
        raise RefusedError(reject(500, told[-1].message))
    return answers.json_answer(200, SUCCESS)


def _lines(event: Line) -> Iterator[bytes]:
    if event.kind is Kind.PROGRESS and event.layer:
        told = pulling if event.way is Way.PULL else pushing
        yield _encoded(told(event.layer, total=event.size, completed=event.current))
    elif event.kind is Kind.SUCCESS:
        yield _encoded(SUCCESS)
    elif event.kind is Kind.ERROR:
        yield _failure(event.message)
    else:
        yield _encoded(doing(event.message))


def _failure(message: str) -> bytes:
    return _encoded({"error": message})


def _encoded(line: Mapping[str, Any]) -> bytes:
    # ASCII: Python's clients split lines at U+0085 and U+2028, too.
    return json.dumps(line).encode() + b"\n"


def _name(body: Mapping[str, Any]) -> str:
    name = _text(body, "model") or _text(body, "name")
    if not name:
        raise RefusedError(reject(400, "model is required", param="model"))
    return name


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise RefusedError(reject(400, f"'{name}' must be a string", param=name))
    return found
