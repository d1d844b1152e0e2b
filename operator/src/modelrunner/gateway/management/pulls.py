"""Follows a Model until its weights are there."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Final, Protocol

from modelrunner.domain.objects import Object, uid_of
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import Made
from modelrunner.gateway.management.progress import GONE, Failed, Progress, Pulled, progress_of
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable

BEAT: Final = 1.5
"""Seconds after which the same is told again: clients and proxies take silence for an end."""

_UNSEEN: Final = 3
"""Beats until the API server is asked for a Model that its watch does not tell of."""


class Models(Protocol):
    """What is known of Models: by the watch, and asked."""

    table: RouteTable

    async def get(self, namespace: str, name: str) -> Object | None:
        """The Model as it is now; raises Refused."""
        ...


async def follow(
    objects: Models,
    made: Made,
    judge: Callable[[ModelEntry | None], Progress] = progress_of,
    beat: float = BEAT,
) -> AsyncGenerator[Progress]:
    """How far it is: after each change, and each `beat` seconds; the last is no Pulling.

    `judge` tells how far, None: the API server has not told of the Model yet. Whoever stops listening changes nothing about the Model.
    """
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    undo = objects.table.subscribe(lambda one: changed.set() if _is(one, made) else None)
    entry: ModelEntry | None = None
    said: Progress | None = None
    beats, due = 0, loop.time()
    try:
        while not isinstance(said, Pulled | Failed):
            changed.clear()
            entry = _entry(objects, made) or entry
            found = judge(entry)
            if entry is None and beats > _UNSEEN and await _is_gone(objects, made):
                found = GONE
            if found != said or loop.time() >= due:
                said = found
                beats += 1
                due = loop.time() + beat
                yield found
            else:
                await _happens(changed, due - loop.time())
    finally:
        undo()


def _is(entry: ModelEntry, made: Made) -> bool:
    return (entry.namespace, entry.name) == (made.namespace, made.name)


def _entry(objects: Models, made: Made) -> ModelEntry | None:
    found = objects.table.find(f"{made.namespace}/{made.name}")
    return found if found is not None and found.uid == made.uid else None


async def _is_gone(objects: Models, made: Made) -> bool:
    try:
        found = await objects.get(made.namespace, made.name)
    except Refused:
        return False
    return found is None or uid_of(found) != made.uid


async def _happens(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
