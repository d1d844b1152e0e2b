"""Every snippet of docs/guides/clients.md works as it stands there."""

import pytest

from tests.support.clients.driving import Desk
from tests.support.clients.snippets import Snippet, run, snippets
from tests.support.serving import Serving

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("snippet", snippets(), ids=lambda snippet: snippet.name)
def test_snippet(snippet: Snippet, desk: Desk, server: Serving) -> None:
    """It ends well and prints something."""
    assert run(snippet, desk, server.url).strip()
