"""Chat templates of models that run, or did."""

import pytest

from modelrunner.gateway.backoffice.templates import _KEPT, Templates
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import Object, endpoint, endpoint_slice
from tests.unit.modelrunner.gateway.backoffice.models import Runners, model

WELL = {"type": "Ready", "status": "True", "reason": "Ready"}
ROLLING = {"type": "Reconciling", "status": "True", "reason": "Starting"}


class Model:
    """A Model and its runner pods, as they are told of."""

    def __init__(self, table: RouteTable, name: str = "smol") -> None:
        self._table, self._name, self._version = table, name, 0
        self._body = model(name)
        self.told()
        self.pods("p")
        found = table.find(f"ml/{name}")
        assert found is not None
        self.entry: ModelEntry = found

    def told(self, *more: Object, seen: bool = True, flags: str = "", digest: str = "") -> None:
        """The Model has changed; `seen`: its status is about that, and has conditions of `more`."""
        self._version += 1
        metadata, spec, status = (dict(self._body[key]) for key in ("metadata", "spec", "status"))
        metadata |= {"resourceVersion": str(self._version), "generation": self._version}
        status["observedGeneration"] = self._version if seen else self._version - 1
        status["conditions"] = [WELL, *more]
        if flags:
            spec["config"] = {"runtimeFlags": [flags]}
        if digest:
            status["artifact"] = {"digest": f"sha256:{digest * 64}"}
        self._body = {**self._body, "metadata": metadata, "spec": spec, "status": status}
        self._table.put_model(self._body)

    def pods(self, *names: str) -> None:
        """These are ready."""
        ready = [endpoint(f"10.0.0.{ord(name)}", ready=True, pod=name) for name in names]
        self._table.put_slice(endpoint_slice(f"ml/{self._name}", *ready))


def _running(table: RouteTable, name: str = "smol") -> ModelEntry:
    return Model(table, name).entry


@pytest.mark.parametrize("template", ["{{ messages }}", ""])
async def test_a_runner_is_asked_once(template: str) -> None:
    """By the name that it was started with; what it said holds when it sleeps. "" is an answer."""
    runners, one = Runners(template), Model(RouteTable())
    templates = Templates(runners)
    for _ in range(3):
        assert await templates.of(one.entry) == template
    assert runners.asked == [("p", "smol")]
    one.pods()
    assert await templates.of(one.entry) == template
    assert len(runners.asked) == 1


@pytest.mark.parametrize(
    "change", [{"flags": "--jinja"}, {"digest": "2"}], ids=["flags", "weights"]
)
async def test_a_former_runner_tells_nothing_of_other_weights_or_settings(
    change: dict[str, str],
) -> None:
    """Its template is told while it serves, and never of what comes after it, awake or asleep."""
    runners, one = Runners("former"), Model(RouteTable())
    templates = Templates(runners)
    # Before the operator has seen the edit, and while the runners roll.
    one.told(seen=False, **change)
    assert await templates.of(one.entry) == "former"
    one.told(ROLLING)
    one.pods("p", "q")
    assert await templates.of(one.entry) == "former"
    one.pods()
    assert await templates.of(one.entry) == ""
    runners.text = "newer"
    one.pods("q")
    assert await templates.of(one.entry) == "newer"
    assert [pod for pod, _ in runners.asked] == ["p", "q"]
    # As soon as it is sure what the runner has, it holds for the sleep.
    one.told()
    assert await templates.of(one.entry) == "newer"
    one.pods()
    assert await templates.of(one.entry) == "newer"
    one.told(flags="--no-jinja")
    assert await templates.of(one.entry) == ""
    assert len(runners.asked) == 2


async def test_who_does_not_tell_is_asked_again() -> None:
    """And nobody is woken for it."""
    runners, one = Runners(None), Model(RouteTable())
    templates = Templates(runners)
    assert [await templates.of(one.entry), await templates.of(one.entry)] == ["", ""]
    assert len(runners.asked) == 2
    one.pods()
    assert await templates.of(one.entry) == ""
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
