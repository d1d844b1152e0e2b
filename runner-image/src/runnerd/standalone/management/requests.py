"""GET /engines/requests: what models were asked lately, at once or as it comes.

Source: docker/model-runner `pkg/metrics/openai_recorder.go` (`GetRecordsHandler`).
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from modelrunner_protocol.configure import told
from runnerd.server import answers
from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.management.needs import Pool
from runnerd.standalone.management.recorder import Record, Recorder
from runnerd.standalone.pages import Page, RefusedError

_EVENTS: Final = "text/event-stream"
_QUIET: Final = 15.0


class Requests:
    """Answers there."""

    def __init__(self, recorder: Recorder, catalogue: Catalogue, pool: Pool) -> None:
        self._recorder = recorder
        self._catalogue = catalogue
        self._pool = pool

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        return (Page("/engines/requests", {"GET": self._requests}, Dialect.DOCKER),)

    async def _requests(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        if not self._recorder.enabled:
            raise RefusedError(reject(501, "requests are not recorded by this server"))
        identity = await self._wanted(request.query.get("model", ""))
        if request.headers.get("Accept") == _EVENTS and request.method == "GET":
            return await self._events(request, identity)
        return answers.json_answer(200, await self._all(identity))

    async def _wanted(self, name: str) -> str | None:
        """The identity to look for; None: all of them, "": one that nobody has."""
        if not name:
            return None
        found = await asyncio.to_thread(self._catalogue.find, name)
        return found.identity if found else ""

    async def _all(self, identity: str | None) -> list[dict[str, Any]]:
        """Models that something is recorded of, or that are configured."""
        configured = (one.identity for one in self._pool.configurations())
        found = dict.fromkeys([*self._recorder.identities(), *configured])
        return [
            await self._entry(one, one, self._recorder.records(one))
            for one in found
            if identity in {None, one}
        ]

    async def _events(self, request: web.BaseRequest, identity: str | None) -> web.StreamResponse:
        with self._recorder.listening() as records:
            if records is None:
                raise RefusedError(reject(503, "too many listen to requests already"), 10)
            headers = {"Server": answers.SERVER, "Cache-Control": "no-cache"}
            response = web.StreamResponse(headers=headers)
            response.content_type = _EVENTS
            await response.prepare(request)
            if request.query.get("include_existing") == "true":
                for entry in await self._all(identity):
                    for one in entry["records"]:
                        single = [entry | {"count": 1, "records": [one]}]
                        await response.write(_event("existing_request", single))
            await response.write(_event("connected", {"status": "connected"}))
            # Until the client leaves, which cancels this.
            while True:
                await response.write(await self._next(records, identity))

    async def _next(self, records: "asyncio.Queue[Record]", identity: str | None) -> bytes:
        """The next event, or a comment that keeps the connection alive."""
        try:
            record = await asyncio.wait_for(records.get(), _QUIET)
        except TimeoutError:
            return b": nothing new\n\n"
        if identity is not None and record.identity != identity:
            return b""
        entry = await self._entry(record.identity, record.model, [record])
        return _event("new_request", [entry])

    async def _entry(self, identity: str, model: str, records: list[Record]) -> dict[str, Any]:
        said = [told(one.configuration) for one in self._pool.configurations(identity)]
        # Megabytes of streams are put together: not while others wait.
        told_records = await asyncio.to_thread(lambda: [record.told() for record in records])
        return {
            "count": len(records),
            "model": model,
            "config": said[0] if said else {},
            "records": told_records,
        }


def _event(name: str, data: Any) -> bytes:
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()
