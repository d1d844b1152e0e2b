"""Following a Model until its weights are there."""

import asyncio
from collections.abc import AsyncGenerator

from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import Made
from modelrunner.gateway.management.progress import GONE, Failed, Progress, Pulled, Pulling
from modelrunner.gateway.management.pulls import BEAT, follow
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import Object, condition, model
from tests.support.virtual_time import virtual

MADE = Made("ml", "x", "uid", new=True)


class Objects:
    """The API server's side: what it says of the Model."""

    def __init__(self) -> None:
        self.table = RouteTable()
        self.asked = 0
        self.live: Object | Refused | None = model("ml/x", uid="uid")
        self._version = 0

    async def get(self, namespace: str, name: str) -> Object | None:
        """Part of ModelObjects."""
        await asyncio.sleep(0)
        assert (namespace, name) == ("ml", "x")
        self.asked += 1
        if isinstance(self.live, Refused):
            raise self.live
        return self.live

    def put(self, *conditions: Object, uid: str = "uid", path: str = "ml/x") -> None:
        """The watch tells of a Model."""
        self._version += 1
        status = {"conditions": list(conditions), "artifact": {"sizeBytes": 7}}
        self.table.put_model(model(path, uid=uid, version=self._version, status=status))

    def steps(self) -> AsyncGenerator[Progress]:
        """What a client is told."""
        return follow(self, MADE)


def pulling(message: str) -> Object:
    """It goes on."""
    return condition("Ready", "False", "Pulling", message)


@virtual
async def test_each_change_is_told_once_and_silence_is_filled() -> None:
    """Changes of other Models are nobody's news, and keep no beat from coming."""
    objects, loop = Objects(), asyncio.get_running_loop()
    objects.put(pulling("one"))
    steps = objects.steps()
    assert await anext(steps) == Pulling(message="one", total=7)
    began = loop.time()
    loop.call_later(0.5, objects.put, pulling("two"))
    assert await anext(steps) == Pulling(message="two", total=7)
    assert loop.time() - began == 0.5
    for number in range(100):
        loop.call_later(0.1 * number, lambda: objects.put(pulling("its"), path="ml/other"))
    assert await anext(steps) == Pulling(message="two", total=7)
    assert loop.time() - began == 0.5 + BEAT
    objects.put(condition("Cached", "True", "Cached"), pulling("two"))
    assert [step async for step in steps] == [Pulled(7)]


@virtual
async def test_a_model_of_the_same_name_before_and_after() -> None:
    """An older one is not it; when ours is gone, a newer one is not it either."""
    objects = Objects()
    objects.put(condition("Ready", "True", "Ready"), uid="older")
    steps = objects.steps()
    assert isinstance(await anext(steps), Pulling)
    objects.put(pulling("one"))
    assert await anext(steps) == Pulling(message="one", total=7)
    objects.put(pulling("one"), uid="newer")
    assert [step async for step in steps] == [GONE]


@virtual
async def test_one_that_was_deleted_before_it_was_seen() -> None:
    """The API server is asked after a while; its silence says nothing."""
    objects = Objects()
    objects.live = Refused(503, "away", "away")
    steps = objects.steps()
    while not objects.asked:
        assert isinstance(await anext(steps), Pulling)
    objects.live = None
    assert [step async for step in steps][-1] == GONE
    objects = Objects()
    objects.live = model("ml/x", uid="another")
    assert isinstance([step async for step in objects.steps()][-1], Failed)


@virtual
async def test_nobody_listens_any_more() -> None:
    """Nothing of it stays in the table."""
    objects = Objects()
    steps = objects.steps()
    await anext(steps)
    assert len(objects.table._subscribers) == 1
    await steps.aclose()
    assert objects.table._subscribers == []
