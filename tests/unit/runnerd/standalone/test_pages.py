"""Pages: which path, which method, which words."""

from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from runnerd.server.dialects import Dialect, reject
from runnerd.standalone.pages import Page, RefusedError


async def _told(_: web.BaseRequest, groups: Mapping[str, str]) -> web.Response:
    return web.Response(text=repr(sorted(groups.items())))


PAGE = Page("/models/(?P<name>.+?)(?P<tag>/tag)?", {"GET": _told, "DELETE": _told}, Dialect.OLLAMA)


async def _asked(method: str, path: str) -> web.Response:
    found = PAGE.pattern.fullmatch(path)
    assert found
    answer = await PAGE.answer(make_mocked_request(method, path), found)
    assert isinstance(answer, web.Response)
    return answer


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_groups(method: str) -> None:
    """A handler gets the parts of the path decoded, "" for one that is not there."""
    answer = await _asked(method, "/models/ai%2Fsmol%0d%0a")
    assert answer.text == "[('name', 'ai/smol\\r\\n'), ('tag', '')]"


async def test_other_methods() -> None:
    """They are refused in the page's words, with those that there are."""
    answer = await _asked("POST", "/models/x/tag")
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD")
    assert answer.text == '{"error": "Use DELETE, GET, HEAD"}'


def test_other_paths() -> None:
    """Only the whole path counts."""
    assert PAGE.pattern.fullmatch("/x/models/y") is None


def test_refusal() -> None:
    """A refusal is an answer with whole seconds to wait, at least one."""
    answer = RefusedError(reject(429, "busy"), 0.2).answer(Dialect.OLLAMA)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert "Retry-After" not in RefusedError(reject(400, "no")).answer(Dialect.DOCKER).headers
