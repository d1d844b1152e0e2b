"""The route table while the API server is away, and after."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway_table.conftest import Feeding
from tests.integration.gateway_table.worlds import API, hosts
from tests.support.table_objects import endpoint
from tests.support.wire import Wire

pytestmark = pytest.mark.control_plane


async def test_a_cut_wire_costs_nothing_but_the_time(
    feeding: Feeding, namespace: str, wire: Wire, wired: Path
) -> None:
    """The table serves on; deletions and changes in between are found without a list."""
    world = await feeding(namespace, kubeconfig=wired)
    for name in ("goes", "stays"):
        world.put_model(namespace, name)
        world.put_slice(f"{namespace}/{name}", endpoint("198.18.0.1", pod=name))
    goes, stays = await world.find("goes"), await world.find("stays")
    await world.until("pods", lambda: goes.ready and stays.ready)
    wire.cut()
    await world.until("trouble", lambda: world.feed.trouble)
    world.api.delete(API, "Model", "goes", namespace)
    world.put_slice(f"{namespace}/stays", endpoint("198.18.0.2", pod="new"))
    assert world.table.find("goes") is goes
    assert stays.pick(0) is stays.ready[0]
    assert world.feed.synced.is_set()
    wire.mend()
    await world.until("the deletion", lambda: goes.gone)
    await world.until("the new pod", lambda: hosts(stays) == (["198.18.0.2"], []))
    await world.until("no trouble", lambda: not world.feed.trouble)
    assert world.lists() == 1
    assert world.table.find("goes") is None


async def test_a_connection_that_died_silently_is_found_out(
    feeding: Feeding, namespace: str, wire: Wire, wired: Path
) -> None:
    """No end of the connection is ever told, as when a machine loses its power."""
    world = await feeding(namespace, kubeconfig=wired, idle=1.0)
    world.put_model(namespace, "before")
    await world.find("before")
    wire.mute()
    before = world.failures()
    world.put_model(namespace, "meanwhile")
    # Of both watches; on a slow machine a silence may have been taken for a death before.
    await world.until("both failed", lambda: world.failures() >= before + 2)
    assert world.table.find("before") is not None
    # What hangs in the wire never arrives.
    wire.cut()
    wire.speak()
    wire.mend()
    await world.find("meanwhile")


async def test_a_restarted_server_knows_no_old_versions_and_is_asked_anew(
    feeding: Feeding, namespace: str, control_plane: ControlPlane
) -> None:
    """Its memory of events begins with its start: 410, a new list, and nothing is lost."""
    world = await feeding(namespace)
    other = await feeding(namespace)
    for name in ("goes", "stays"):
        world.put_model(namespace, name)
    goes, stays = await world.find("goes"), await world.find("stays")
    world.put_slice(f"{namespace}/stays", endpoint("198.18.0.1", pod="a"))
    await world.until("a pod", lambda: stays.ready)
    (pod,) = stays.ready
    heard: list[str] = []
    world.table.subscribe(lambda entry: heard.append(entry.path))
    await asyncio.to_thread(control_plane.stop_apiserver)
    try:
        await world.until("trouble", lambda: world.feed.trouble)
        assert world.paths() == [f"{namespace}/goes", f"{namespace}/stays"]
        assert world.table.find("stays") is stays
        assert stays.pick(0) is pod
    finally:
        await asyncio.to_thread(control_plane.start_apiserver)
    world.api.delete(API, "Model", "goes", namespace)
    world.put_model(namespace, "new")
    for one in (world, other):
        await one.until_paths(f"{namespace}/new", f"{namespace}/stays")
    await world.until("no trouble", lambda: not world.feed.trouble)
    assert goes.gone
    assert (world.table.find("stays"), stays.ready, pod.retired) == (stays, [pod], False)
    # A list that brings nothing new of a model is no change of it.
    assert f"{namespace}/stays" not in heard


async def test_a_place_that_the_server_has_forgotten_is_found_by_a_list(
    feeding: Feeding, namespace: str, control_plane: ControlPlane, wire: Wire, wired: Path
) -> None:
    """Both happen unseen: the change, and the restart that makes its event unknowable."""
    world = await feeding(namespace, kubeconfig=wired)
    for name in ("goes", "stays"):
        world.put_model(namespace, name)
    goes = await world.find("goes")
    await world.find("stays")
    wire.cut()
    await world.until("trouble", lambda: world.feed.trouble)
    world.api.delete(API, "Model", "goes", namespace)
    await asyncio.to_thread(control_plane.stop_apiserver)
    await asyncio.to_thread(control_plane.start_apiserver)
    assert not goes.gone
    before: Any = world.lists()
    wire.mend()
    await world.until("the deletion", lambda: goes.gone)
    assert world.lists() > before
    world.put_model(namespace, "later")
    await world.find("later")
    assert world.paths() == [f"{namespace}/later", f"{namespace}/stays"]
