"""Pulls of Models that are there, many at once, and with an API server that says no."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelrunner.domain.naming import REFRESH_ANNOTATION
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import Made, Making
from modelrunner.gateway.management.objects import ModelObjects, Terms
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import Object, condition, model
from tests.unit.modelrunner.kube.served_api import talking

REFERENCE = "ai/x"


class Api:
    """An API server with one Model, whose status is written all the time, and a gateway's table."""

    def __init__(self) -> None:
        self.table = RouteTable()
        self.asked: Counter[str] = Counter()
        self.patched = asyncio.Event()
        self.uid, self.status = "first", 0
        self._version = 0
        self._notes: dict[str, str] = {}
        self._source: Object = {"sourceKey": "k", "key": "k"}
        self.told()

    def told(self, **source: Any) -> None:
        """The operator writes the status, of which the gateway hears."""
        self._source |= source
        self.table.put_model(self._written("first"))

    @property
    def request(self) -> str:
        """The look that is asked for."""
        return self._notes.get(REFRESH_ANNOTATION, "")

    async def answer(self, request: web.Request) -> web.Response:
        """GET and PATCH, or a refusal with `status`."""
        self.asked[request.method] += 1
        if request.method == "GET":
            return web.json_response(self._written(self.uid))
        self.patched.set()
        if self.status:
            return web.json_response({"message": "no"}, status=self.status)
        assert request.content_type == "application/merge-patch+json"
        # Whatever else is in it would be somebody else's.
        body = await request.json()
        assert list(body) == ["metadata"]
        assert set(body["metadata"]) == {"uid", "annotations"}
        if body["metadata"]["uid"] != self.uid:
            return web.json_response({"message": "another uid"}, status=409)
        self._notes |= body["metadata"]["annotations"]
        found = self._written(self.uid)
        self.table.put_model(found)
        return web.json_response(found)

    def _written(self, uid: str) -> Object:
        self._version += 1
        status = {
            "conditions": [
                condition("Ready", "True", "Ready"),
                condition("Cached", "True", "Cached"),
            ],
            "source": dict(self._source),
        }
        spec = {"source": {"oci": {"reference": REFERENCE}}}
        return model(
            "ml/x",
            uid=uid,
            version=self._version,
            spec=spec,
            aliases=[REFERENCE],
            status=status,
            annotations=dict(self._notes),
        )


@asynccontextmanager
async def _pulling(folder: Path, api: Api) -> AsyncIterator[Making]:
    async with talking(folder, api.answer) as client:
        yield Making(ModelObjects(client, api.table, Terms(namespace="ml")))


async def _pull(making: Making) -> Made:
    return await making.model_of(REFERENCE, lambda *_: True)


async def test_many_at_once_are_one_request(tmp_path: Path) -> None:
    """Whoever comes before the answer follows the request that there is; then it is asked anew."""
    api = Api()
    async with _pulling(tmp_path, api) as making:
        found = await asyncio.gather(*(_pull(making) for _ in range(20)))
        api.told(message="no room in the quota")
        found.append(await _pull(making))
        asked = [one.asked for one in found if one.asked is not None]
        assert len(asked) == 21
        assert {(one.value, one.said) for one in asked} == {(api.request, "")}
        assert api.asked == {"PATCH": 1}
        for answer in ("handledRefresh", "failedRefresh"):
            before = api.request
            api.told(**{answer: before, "failures": 1})
            again = await _pull(making)
            assert again.asked is not None
            assert again.asked.value == api.request > before
        assert api.asked == {"PATCH": 3}


async def test_another_gateways_request_is_joined(tmp_path: Path) -> None:
    """Two replicas that ask in turn would never let the operator answer the first."""
    api = Api()
    async with _pulling(tmp_path, api) as one, _pulling(tmp_path, api) as other:
        first, second = (await _pull(one)).asked, (await _pull(other)).asked
    assert first is not None
    assert second is not None
    assert first.value == second.value == api.request
    assert api.asked == {"PATCH": 1}


@pytest.mark.parametrize("ahead", ["2999-01-01T00:00:00.000000+00:00", "next week", ""])
async def test_clocks_that_differ(tmp_path: Path, ahead: str) -> None:
    """An answer to a gateway whose clock is ahead is none to a later request of another one."""
    api = Api()
    api.told(handledRefresh=ahead)
    async with _pulling(tmp_path, api) as making:
        asked = (await _pull(making)).asked
    assert asked is not None
    assert asked.value > ahead or not ahead.startswith("2999")


@pytest.mark.parametrize("status", [400, 403, 409, 422, 500, 503])
async def test_weights_that_are_there_need_no_look(tmp_path: Path, status: int) -> None:
    """Whatever the API server has against it, the pull goes on, and tells that nobody looks."""
    api = Api()
    api.status = status
    async with _pulling(tmp_path, api) as making:
        found = await asyncio.gather(*(_pull(making) for _ in range(3)))
        assert {(one.asked, one.new) for one in found} == {(None, False)}
        assert found[0].unasked.startswith("nobody looks whether the source has moved: ")
        # It is no reason to ask never again.
        api.status = 0
        assert (await _pull(making)).asked is not None


async def test_a_model_made_anew_is_another_one(tmp_path: Path) -> None:
    """It is not touched; nor are there weights that could be told of."""
    api = Api()
    api.uid = "second"
    async with _pulling(tmp_path, api) as making:
        with pytest.raises(Refused, match="deleted a moment ago") as raised:
            await _pull(making)
    assert raised.value.status == 404
    assert api.request == ""


async def test_a_client_that_leaves_takes_no_request_along(tmp_path: Path) -> None:
    """The others wait for what it has begun."""
    api = Api()
    async with _pulling(tmp_path, api) as making:
        first = asyncio.create_task(_pull(making))
        second = asyncio.create_task(_pull(making))
        await api.patched.wait()
        first.cancel()
        assert (await second).asked is not None
        with pytest.raises(asyncio.CancelledError):
            await first
    assert api.asked == {"PATCH": 1}
