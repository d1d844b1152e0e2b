"""Clients of Python and of Node, unmodified, against a stand-alone server."""

import pytest

from tests.support.clients.catalogue import CLIENTS, Client
from tests.support.clients.driving import Desk
from tests.support.clients.expectations import Server, check
from tests.support.serving import Serving

pytestmark = pytest.mark.engine

_EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.script)
_TOOLS = [client for client in CLIENTS if client.tools]
_MANAGERS = [client for client in CLIENTS if client.management]
# What the model was made for: nobody has configured another.
SERVER = Server(context=8192)


@_EACH
def test_uses_models(client: Client, desk: Desk, server: Serving) -> None:
    """It lists, chats, streams, embeds and is refused as it is used to."""
    check(client, desk.outcomes(client, server.url, client.scenarios, SERVER), SERVER)


@pytest.mark.parametrize("client", _TOOLS, ids=lambda client: client.script)
def test_calls_tools(client: Client, desk: Desk, scripted: Serving) -> None:
    """Calls of tools come whole, streamed or not."""
    check(client, desk.outcomes(client, scripted.url, client.tools, SERVER), SERVER)


@pytest.mark.parametrize("client", _MANAGERS, ids=lambda client: client.script)
def test_manages_models(client: Client, desk: Desk, server: Serving) -> None:
    """It pulls a model, gives it a second name, and deletes both."""
    check(client, desk.outcomes(client, server.url, client.management, SERVER), SERVER)
