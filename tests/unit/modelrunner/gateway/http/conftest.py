"""Every test of the front runs on both event loops that it is made for."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.support.http_backend import Backend
from tests.support.http_front import Desk, World, fronting


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The stock loop and uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    """A backend; its script may be set before the first request."""
    async with Backend() as started:
        yield started


@pytest.fixture
async def world(backend: Backend) -> AsyncIterator[World]:
    """A front with the usual settings that sends all to the backend."""
    async with fronting(Desk(backend.endpoint)) as made:
        yield made
