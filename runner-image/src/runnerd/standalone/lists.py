"""The models of the catalogue, as OpenAI's, Anthropic's and Ollama's clients ask for them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from modelrunner_protocol.configure import BACKENDS, LLAMA_CPP
from modelrunner_protocol.dmr import Model, moment, openai_object
from modelrunner_protocol.ollama import FOREVER, Described, capabilities_of, tagged
from modelrunner_protocol.wire import Mode
from runnerd.server import answers
from runnerd.server.dialects import Dialect, Rejection, reject
from runnerd.server.shelf import expiry
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.meant import meant_mode
from runnerd.standalone.pages import Page, RefusedError
from runnerd.standalone.pool import Pool, Running
from runnerd.weights.abilities import abilities
from runnerd.weights.gguf import GgufError, read

_PREFIX = "(?:/engines(?:/(?P<backend>[^/]+))?)?"


class Lists:
    """Pages, and a `shelf.Stock`.

    A model has an entry for each of its tags, so that a client finds the very name that it was
    told to use; one without a tag goes by its identity.
    """

    def __init__(
        self, catalogue: Catalogue, pool: Pool, *, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._catalogue = catalogue
        self._pool = pool

    def pages(self) -> list[Page]:
        """Lists and single entries."""
        anthropic = Dialect.ANTHROPIC
        return [
            Page(f"{_PREFIX}/v1/models/?", {"GET": self._models}),
            Page(f"{_PREFIX}/v1/models/(?P<name>.+)", {"GET": self._model}),
            Page("/anthropic/v1/models/?", {"GET": self._anthropic_models}, anthropic),
            Page("/anthropic/v1/models/(?P<name>.+)", {"GET": self._anthropic_model}, anthropic),
        ]

    async def all(self) -> Sequence[Described]:
        """For Ollama's /api/tags."""
        return [self._described(tagged(name), one) for name, one in await self._named()]

    async def loaded(self) -> Sequence[tuple[Described, str]]:
        """For Ollama's /api/ps: a model once, in whatever modes it is loaded."""
        stored = {one.identity: one for one in await asyncio.to_thread(self._catalogue.models)}
        loaded: dict[str, list[Running]] = {}
        for one in self._pool.running():
            if one.identity in stored and not one.loading:
                loaded.setdefault(one.identity, []).append(one)
        return [
            (self._loaded(stored[identity], engines), self._expires(engines))
            for identity, engines in loaded.items()
        ]

    async def find(self, name: str) -> Described | None:
        """For Ollama's /api/show."""
        found = await asyncio.to_thread(self._catalogue.find, name)
        if found is None:
            return None
        template = await asyncio.to_thread(_template, found)
        return replace(self._described(tagged(name), found, abilities(template)), template=template)

    async def _models(self, _: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        named = await self._named(groups["backend"])
        data = [openai_object(self._told(one), name) for name, one in named]
        return answers.json_answer(200, {"object": "list", "data": data})

    async def _model(self, _: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        found = await self._found(groups["name"], groups["backend"])
        return answers.json_answer(200, openai_object(self._told(found)))

    async def _anthropic_models(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        data = [_anthropic(name, one) for name, one in await self._named()]
        ends = {
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
        return answers.json_answer(200, {"data": data, "has_more": False, **ends})

    async def _anthropic_model(self, _: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
        found = await self._found(groups["name"])
        return answers.json_answer(200, _anthropic(_names(found)[0], found))

    async def _found(self, name: str, backend: str = "") -> Stored:
        _check(backend)
        found = await asyncio.to_thread(self._catalogue.find, name)
        if found is None or not _serves(backend):
            raise RefusedError(unknown(name))
        return found

    async def _named(self, backend: str = "") -> list[tuple[str, Stored]]:
        _check(backend)
        models = await asyncio.to_thread(self._catalogue.models) if _serves(backend) else []
        return [(name, one) for one in models for name in _names(one)]

    def _told(self, stored: Stored) -> Model:
        artifact = stored.artifact
        return Model(
            identity=stored.identity,
            tags=stored.tags,
            created=stored.created,
            architecture=artifact.architecture,
            parameters=artifact.parameters,
            quantization=artifact.quantization,
            size=artifact.size_bytes,
            context_size=self._context(stored),
            memory=artifact.memory_bytes,
        )

    def _described(
        self, name: str, stored: Stored, able: tuple[str, ...] | None = None
    ) -> Described:
        """`able`: what the template shows, where it was read; else what the weights' own does."""
        artifact = stored.artifact
        mode = meant_mode(stored, self._pool.configurations(stored.identity))
        does = artifact.abilities if able is None else able
        if stored.projector:
            does = (*does, "vision")
        return Described(
            identity=stored.identity,
            name=name,
            digest=stored.identity,
            format=artifact.format,
            architecture=artifact.architecture,
            parameters=artifact.parameters,
            quantization=artifact.quantization,
            size=artifact.size_bytes,
            modified=stored.created,
            context=self._context(stored),
            memory=artifact.memory_bytes,
            capabilities=capabilities_of(mode.value, does),
        )

    def _loaded(self, stored: Stored, engines: Sequence[Running]) -> Described:
        """With what it takes and what it was started with."""
        told = self._described(tagged(_names(stored)[0]), stored)
        contexts = [one.context for one in engines if one.context is not None]
        return replace(
            told,
            size=sum(one.size_bytes for one in engines),
            context=max(contexts, default=told.context),
        )

    def _expires(self, engines: Sequence[Running]) -> str:
        """When the last of them goes; one in use stays its time from now on."""
        if any(one.keep_alive < 0 for one in engines):
            return FOREVER
        now = self._now()
        ends = (
            now + one.keep_alive if one.expires_at is None else one.expires_at for one in engines
        )
        return expiry(max(ends), 0.0)

    def _context(self, stored: Stored) -> int | None:
        """Tokens that a conversation may have: what was configured, else what it was trained for."""
        size = self._pool.configuration(stored.identity, Mode.COMPLETION).context_size
        return size if size is not None and size > 0 else stored.artifact.context_size


def unknown(name: str) -> Rejection:
    """404 for a name that leads to no model."""
    text = f"Model not found: {name[:200]}: GET /v1/models lists those that are here"
    return reject(404, text, code="model_not_found", param="model")


def unknown_backend(name: str) -> Rejection:
    """404 for a path that names an engine which nobody knows."""
    text = f"backend not found: {name[:80]!r} is none of {', '.join(BACKENDS)}"
    return reject(404, text, code="engine_not_found")


def _serves(backend: str) -> bool:
    """A path that names an engine lists what may be asked there: inference refuses the rest."""
    return backend in {"", LLAMA_CPP}


def _check(backend: str) -> None:
    if backend and backend not in BACKENDS:
        raise RefusedError(unknown_backend(backend))


def _names(stored: Stored) -> tuple[str, ...]:
    return stored.tags or (stored.identity,)


def _template(stored: Stored) -> str:
    """The chat template that the engine takes: the model's own file, else that of the weights."""
    try:
        if stored.chat_template is not None:
            return stored.chat_template.read_text("utf-8", "replace")
        with stored.weights.open("rb") as file:
            return read(file).template
    except (OSError, GgufError):
        # Removed meanwhile, or broken since: what asks gets to know when it is loaded.
        return ""


def _anthropic(name: str, stored: Stored) -> dict[str, Any]:
    """One entry of Anthropic's list (Anthropic API reference, "List Models")."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": moment(int(stored.created)),
    }
