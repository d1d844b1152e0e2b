"""Chat templates of models that run, or did."""

from typing import Any

from modelrunner.gateway.backoffice.templates import _KEPT, Templates
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import endpoint, endpoint_slice
from tests.unit.modelrunner.gateway.backoffice.models import Runners, model


def _running(table: RouteTable, name: str = "smol", **more: Any) -> ModelEntry:
    """A Model with a ready runner."""
    table.put_model(model(name, **more))
    table.put_slice(endpoint_slice(f"ml/{name}", endpoint("10.0.0.1", ready=True, pod="p")))
    found = table.find(f"ml/{name}")
    assert found is not None
    return found


async def test_a_runner_is_asked_once() -> None:
    """By the name that it was started with; what it said holds when it sleeps."""
    runners, table = Runners("{{ messages }}"), RouteTable()
    templates, entry = Templates(runners), _running(table)
    for _ in range(3):
        assert await templates.of(entry) == "{{ messages }}"
    assert [name for _, name in runners.asked] == ["smol"]
    entry.ready = []
    assert await templates.of(entry) == "{{ messages }}"
    assert len(runners.asked) == 1


async def test_other_weights_and_settings_have_other_templates() -> None:
    """A flag may name another one; a newer version of the weights may bring another one."""
    runners, table = Runners("one"), RouteTable()
    templates, entry = Templates(runners), _running(table)
    assert await templates.of(entry) == "one"
    runners.text = "two"
    entry.spec = {"config": {"runtimeFlags": ["--chat-template", "chatml"]}}
    assert await templates.of(entry) == "two"
    runners.text = "three"
    entry.status = {"artifact": {"digest": "sha256:" + "2" * 64}}
    assert await templates.of(entry) == "three"


async def test_who_does_not_tell_is_asked_again() -> None:
    """And nobody is woken for it."""
    runners, table = Runners(), RouteTable()
    templates, entry = Templates(runners), _running(table)
    assert [await templates.of(entry), await templates.of(entry)] == ["", ""]
    assert len(runners.asked) == 2
    entry.ready = []
    assert await templates.of(entry) == ""
    assert len(runners.asked) == 2


async def test_not_all_are_kept() -> None:
    """The one that nobody has asked for the longest goes first."""
    runners, table = Runners("x"), RouteTable()
    templates = Templates(runners)
    entries = [_running(table, f"m{number}") for number in range(_KEPT + 1)]
    for entry in (*entries[:_KEPT], entries[0], entries[_KEPT]):
        await templates.of(entry)
    assert len(runners.asked) == _KEPT + 1
    await templates.of(entries[0])
    assert len(runners.asked) == _KEPT + 1
    await templates.of(entries[1])
    assert len(runners.asked) == _KEPT + 2
