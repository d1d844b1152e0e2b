"""What Ollama's clients ask of a server: its version, and the models that it has."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from aiohttp import web

from modelrunner_protocol.ollama import (
    FOREVER,
    MANAGEMENT,
    VERSION,
    WELCOME,
    Described,
    listed,
    moment,
    running,
    shown,
    unknown_model,
)
from runnerd.ollama.members import AskedWronglyError, decoded, text
from runnerd.server import answers
from runnerd.server.body import Body
from runnerd.server.dialects import Dialect, Rejection, reject

_BODY_LIMIT: Final = 64 << 10
_BODY_TIMEOUT: Final = 5.0
_READ: Final = ("GET", "HEAD")

_Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


class Stock(Protocol):
    """The models of a server, as Ollama's lists tell of them."""

    async def all(self) -> Sequence[Described]:
        """Every name with its model."""
        ...

    async def loaded(self) -> Sequence[tuple[Described, str]]:
        """The models in memory, and when each is unloaded (`expires_at`)."""
        ...

    async def find(self, name: str) -> Described | None:
        """The model that goes by a name, under that name."""
        ...


class Shelf:
    """Answers at `/`, `/api/version`, `/api/tags`, `/api/ps` and `/api/show`."""

    def __init__(self, stock: Stock, unmanaged: str) -> None:
        """`unmanaged`: why Ollama's routes that change models do nothing here."""
        self._stock = stock
        self._unmanaged = unmanaged
        self._routes: dict[str, tuple[tuple[str, ...], _Handler]] = {
            "/": (_READ, self._welcome),
            "/api/version": (_READ, self._version),
            "/api/tags": (_READ, self._tags),
            "/api/ps": (_READ, self._ps),
            "/api/show": (("POST",), self._show),
            **{path: ((method,), self._managed) for path, method in MANAGEMENT.items()},
        }

    async def answer(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """The answer at one of the paths, None for another path."""
        found = self._routes.get(path)
        if found is None:
            if not path.startswith("/api/"):
                return None
            return _refused(reject(404, f"There is nothing at {path[:200]}"))
        methods, handler = found
        if request.method in methods:
            return await handler(request)
        return answers.wrong_method(", ".join(methods), Dialect.OLLAMA)

    async def _welcome(self, _: web.BaseRequest) -> web.Response:
        return web.Response(text=WELCOME, headers={"Server": answers.SERVER})

    async def _version(self, _: web.BaseRequest) -> web.Response:
        return answers.json_answer(200, {"version": VERSION})

    async def _tags(self, _: web.BaseRequest) -> web.Response:
        return answers.json_answer(
            200, {"models": [listed(one) for one in await self._stock.all()]}
        )

    async def _ps(self, _: web.BaseRequest) -> web.Response:
        rows = [running(one, expires_at=at) for one, at in await self._stock.loaded()]
        return answers.json_answer(200, {"models": rows})

    async def _show(self, request: web.BaseRequest) -> web.Response:
        name = await _named(request)
        if isinstance(name, Rejection):
            return _refused(name)
        found = await self._stock.find(name)
        if found is None:
            return _refused(reject(404, unknown_model(name)))
        return answers.json_answer(200, shown(found))

    async def _managed(self, _: web.BaseRequest) -> web.Response:
        return _refused(reject(501, self._unmanaged))


def expiry(last_used: float | None, keep_alive: float | None) -> str:
    """`expires_at` of a model: when it was used last (epoch), and how long it stays after that."""
    if keep_alive is None or keep_alive < 0 or last_used is None:
        return FOREVER
    try:
        return moment(last_used + keep_alive)
    except (ValueError, OverflowError, OSError):
        return FOREVER


def _refused(found: Rejection) -> web.Response:
    return answers.rejection(found, Dialect.OLLAMA)


async def _named(request: web.BaseRequest) -> str | Rejection:
    """The model that a small body names."""
    body = Body(request, lambda _: True)
    raw = await body.read(limit=_BODY_LIMIT, timeout=_BODY_TIMEOUT)
    if isinstance(raw, Rejection):
        return raw
    try:
        data = decoded(raw)
        found = text(data, "model") or text(data, "name")
    except AskedWronglyError as error:
        return error.found
    return found or reject(400, "model is required", param="model")
