"""What the server says of itself: is it there, does it serve, what is it."""

from collections.abc import Callable, Mapping

from aiohttp import web

from runnerd.server import answers
from runnerd.standalone.pages import Handler, Page


class Probes:
    """Answers at `/healthz`, `/health`, `/readyz` and `/version`.

    Args:
        missing: Models of MODELS that are not there yet, each with why.
        stopping: Whether the server takes no more requests.
    """

    def __init__(
        self, missing: Callable[[], Mapping[str, str]], stopping: Callable[[], bool]
    ) -> None:
        self._missing = missing
        self._stopping = stopping

    def pages(self) -> tuple[Page, ...]:
        """What is answered here."""
        pages: dict[str, Handler] = {
            "/healthz": self._healthz,
            "/health": self._health,
            "/readyz": self._readyz,
            "/version": self._version,
        }
        return tuple(Page(path, {"GET": handler}) for path, handler in pages.items())

    async def _healthz(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        return web.Response(text="ok\n", headers={"Server": answers.SERVER})

    async def _health(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        """As llama-server has it."""
        return answers.json_answer(200, {"status": "ok"})

    async def _readyz(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        missing = dict(self._missing())
        if self._stopping():
            return answers.json_answer(503, {"state": "draining", "missing": missing})
        if missing:
            return answers.json_answer(503, {"state": "pulling", "missing": missing})
        return answers.json_answer(200, {"state": "ready", "missing": {}})

    async def _version(self, _: web.BaseRequest, __: Mapping[str, str]) -> web.Response:
        from importlib.metadata import version  # noqa: PLC0415  # slow to import

        return answers.json_answer(200, {"version": version("runnerd")})
