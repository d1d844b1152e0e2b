"""Programs that the tests cannot install: what they ask of a stand-alone server."""

from collections.abc import Callable

import httpx
import pytest

from tests.support.clients import replays
from tests.support.serving import Serving

pytestmark = pytest.mark.engine

Replay = Callable[[httpx.Client], None]
_REPLAYS = [replays.docker_agent, replays.olla, replays.open_webui, replays.open_webui_manages]


@pytest.mark.parametrize("replay", _REPLAYS, ids=lambda replay: replay.__name__)
def test_replay(replay: Replay, server: Serving) -> None:
    """Its calls are answered with what it reads."""
    with server.http as http:
        replay(http)
