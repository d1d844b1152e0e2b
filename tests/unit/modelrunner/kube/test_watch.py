"""The watch: what the sink hears, and how long the server is left in peace, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from modelrunner.kube.client import KubeClient, Snapshot
from modelrunner.kube.errors import Forbidden, Gone, Invalid, KubeError, NotFound, Unavailable
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import PODS, Resource
from modelrunner.kube.watch import Watch, WatchTimes
from tests.support.virtual_time import run

Event = tuple[str, KubeObject]
Step = Event | float | Exception
_AWAY = Unavailable(0, "Unreachable", "connection refused")


def item(name: str, version: int) -> KubeObject:
    """An object of a version."""
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class ScriptedClient(KubeClient):
    """Answers lists and watches from a script; what is over is silence for ever.

    A list is its items, or what is raised. A watch is a sequence of events, of seconds that pass
    and of what is raised; the end of the sequence is the end of the stream.
    """

    def __init__(self, lists: Iterable[Any], watches: Iterable[Any]) -> None:
        self._lists = list(lists)
        self._watches = list(watches)
        self.asked: list[tuple[float, str]] = []
        self.selectors: list[tuple[str | None, str]] = []

    async def snapshot(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Snapshot:
        """The next list; its version is 10 for the first, 20 for the second."""
        assert (resource, field_selector, limit) == (PODS, "", 500)
        self._ask("list", namespace, label_selector)
        number = sum(what == "list" for _, what in self.asked)
        answer = self._lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Snapshot(answer, str(number * 10))

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        seconds: float = 290.0,
        idle: float = 90.0,
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The next stream."""
        assert (resource, idle) == (PODS, 90.0)
        assert 0.8 * 290 <= seconds <= 290
        self._ask(f"watch {resource_version}", namespace, label_selector)
        steps = self._watches.pop(0) if self._watches else [1e9]
        if isinstance(steps, Exception):
            raise steps
        yield self._events(steps)

    async def _events(self, steps: Sequence[Step]) -> AsyncIterator[Event]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                yield step

    def _ask(self, what: str, namespace: str | None, selector: str) -> None:
        self.asked.append((round(asyncio.get_running_loop().time() - 1000, 3), what))
        self.selectors.append((namespace, selector))


class Recorder:
    """A sink that writes down what it hears; `refuses` is raised for objects of that name."""

    def __init__(self, refuses: str = "") -> None:
        self.heard: list[str] = []
        self.refuses = refuses

    def replace(self, items: Sequence[KubeObject]) -> None:
        """A whole list."""
        self._hear("=", *items)

    def put(self, item: KubeObject) -> None:
        """One is there."""
        self._hear("+", item)

    def drop(self, item: KubeObject) -> None:
        """One is gone."""
        self._hear("-", item)

    def _hear(self, sign: str, *items: KubeObject) -> None:
        names = [item["metadata"]["name"] for item in items]
        self.heard.append(sign + ",".join(names))
        if self.refuses in names:
            raise ValueError(self.refuses)


async def watched(
    client: ScriptedClient, sink: Recorder, *, seconds: float = 200.0, **options: Any
) -> Watch:
    """A watch that has run for a while."""
    watch = Watch(client, PODS, sink, jitter=lambda: 1.0, **options)
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return watch


def test_lists_then_follows() -> None:
    """The list as a whole, then each event, then on from the newest version that was told."""
    client = ScriptedClient(
        [[item("a", 3)]],
        [[
            ("ADDED", item("b", 11)), 30.0,
            ("MODIFIED", item("a", 12)),
            ("DELETED", item("b", 13)),
            ("BOOKMARK", {"metadata": {"resourceVersion": "15"}}), 30.0,
        ]],
    )  # fmt: skip
    sink = Recorder()

    async def scenario() -> Watch:
        return await watched(client, sink, namespace="ml", label_selector="x=y")

    watch = run(scenario())
    assert sink.heard == ["=a", "+b", "+a", "-b"]
    assert client.asked == [(0, "list"), (0, "watch 10"), (60, "watch 15")]
    assert set(client.selectors) == {("ml", "x=y")}
    assert (watch.counts.lists, watch.counts.events, watch.counts.bookmarks) == (1, 3, 1)
    assert (watch.counts.failures, watch.counts.refused, watch.trouble) == (0, 0, "")


@pytest.mark.parametrize(
    "error",
    [
        Gone(410, "Expired", "too old resource version"),
        NotFound(404, "NotFound", "the kind is being made anew"),
        Invalid(0, "TooLarge", "a line of more than 1 bytes"),
        Unavailable(0, "Unreadable", "not JSON"),
        Unavailable(504, "Timeout", "Too large resource version"),
        AttributeError("a bug"),
    ],
)
def test_a_place_that_is_lost_is_found_by_a_list(error: Exception) -> None:
    """Told on entering or in the stream; what went in between is no longer there."""
    for steps in (error, [("ADDED", item("b", 11)), error]):
        client = ScriptedClient([[item("a", 3)], [item("c", 9)]], [steps])
        sink = Recorder()
        run(watched(client, sink))
        assert [what for _, what in client.asked] == ["list", "watch 10", "list", "watch 20"]
        assert sink.heard[-1] == "=c"


@pytest.mark.parametrize(
    "error",
    [_AWAY, Unavailable(503, "", "starting"), Forbidden(403, "", ""), KubeError(401, "", "")],
)
def test_an_absent_server_costs_no_list(error: Exception) -> None:
    """The sink keeps what it has, and the stream goes on from where it was."""
    client = ScriptedClient(
        [[item("a", 3)]], [[("ADDED", item("b", 11)), error], error, error, [("DELETED", item("b", 12)), 500.0]]
    )  # fmt: skip
    sink = Recorder()
    watch = run(watched(client, sink))
    assert sink.heard == ["=a", "+b", "-b"]
    assert [what for _, what in client.asked] == ["list", "watch 10"] + ["watch 11"] * 3
    assert (watch.counts.failures, watch.trouble) == (3, "")


def test_the_longer_it_is_away_the_rarer_it_is_asked() -> None:
    """Up to a bound, so that its return is noticed soon; an event sets it back."""
    client = ScriptedClient(
        [_AWAY] * 7 + [[]], [_AWAY, [("ADDED", item("a", 11)), 30.0, _AWAY], [500.0]]
    )
    sink = Recorder()
    watch = run(watched(client, sink, times=WatchTimes()))
    times = [when for when, _ in client.asked]
    pauses = [round(after - before, 3) for before, after in pairwise(times)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0, 5.0, 30.2]
    assert watch.counts.failures == 9


def test_a_server_that_asks_for_patience_gets_it() -> None:
    """Retry-After is honoured, within reason."""
    client = ScriptedClient(
        [Unavailable(429, "", "", 7.0), Unavailable(429, "", "", 3000.0), []], []
    )
    run(watched(client, Recorder()))
    assert [when for when, _ in client.asked] == [0, 7, 67, 67]


def test_streams_that_end_at_once_are_not_opened_in_a_tight_loop() -> None:
    """A proxy that cuts them may do so for ever."""
    client = ScriptedClient([[]], [[] for _ in range(100)])
    watch = run(watched(client, Recorder(), seconds=60))
    assert len(client.asked) < 20
    assert watch.counts.failures > 10
    assert "as soon as it began" in watch.trouble


def test_synced_stays_and_age_grows_while_the_server_is_away() -> None:
    """Who serves from the sink can say how old its truth is."""

    async def scenario() -> None:
        client = ScriptedClient([[]], [[20.0, ("ADDED", item("a", 11)), _AWAY], *[_AWAY] * 100])
        watch = Watch(client, PODS, Recorder(), jitter=lambda: 1.0)
        assert [watch.age, watch.synced.is_set()] == [None, False]
        task = asyncio.create_task(watch.run())
        await watch.synced.wait()
        await asyncio.sleep(19)
        told = [(watch.trouble, watch.age)]
        await asyncio.sleep(61)
        told.append((watch.trouble, watch.age))
        assert [round(age, 3) for _, age in told if age is not None] == [19, 60]
        assert [trouble[-18:] for trouble, _ in told] == ["", "connection refused"]
        assert watch.synced.is_set()
        task.cancel()

    run(scenario())


def test_objects_of_wrong_shapes_and_a_sink_that_fails_cost_only_themselves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is counted, and the stream goes on behind it."""
    client = ScriptedClient(
        [[{"metadata": None}, item("a", 1)]],
        [[
            ("ADDED", {}), ("ADDED", {"metadata": "x"}), ("WHAT", item("d", 11)),
            ("ADDED", item("bad", 12)), ("ADDED", item("b", 13)),
            30.0,
        ]],
    )  # fmt: skip
    sink = Recorder(refuses="bad")
    watch = run(watched(client, sink))
    assert sink.heard == ["=a", "+bad", "+b"]
    assert watch.counts.refused == 4
    assert client.asked[-1][1] == "watch 13"
    assert "could not be taken in" in caplog.text


def test_a_list_that_the_sink_refuses_is_tried_again() -> None:
    """Until it is taken in nothing is in sync."""
    client = ScriptedClient([[item("bad", 1)], [item("bad", 1)], [item("a", 2)]], [])
    sink = Recorder(refuses="bad")
    watch = run(watched(client, sink))
    assert sink.heard == ["=bad", "=bad", "=a"]
    assert watch.synced.is_set()
    assert [what for _, what in client.asked] == ["list", "list", "list", "watch 30"]


def test_trouble_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A day without the server is two lines, not a million."""
    caplog.set_level("INFO")
    client = ScriptedClient([[]], [*[_AWAY] * 10, [1000.0]])
    run(watched(client, Recorder(), namespace="ml"))
    assert [record.getMessage() for record in caplog.records] == [
        "pods in ml cannot be watched: Unavailable: Unreachable: connection refused",
        "pods in ml is watched again",
    ]


def test_a_stream_that_is_cut_now_and_then_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy between may end what is silent for a minute, for ever; only a failed return is told."""
    caplog.set_level("INFO")
    client = ScriptedClient([[]], [[30.0, _AWAY]] * 5)
    watch = run(watched(client, Recorder()))
    assert watch.counts.failures == 5
    assert caplog.records == []


def test_a_list_without_a_version_is_a_fault() -> None:
    """There would be nothing to continue from."""

    async def scenario() -> Watch:
        client = ScriptedClient([[]], [])
        client.snapshot = lambda *_, **__: asyncio.sleep(0, Snapshot([], ""))  # type: ignore[method-assign]  # one odd server
        return await watched(client, Recorder())

    watch = run(scenario())
    assert not watch.synced.is_set()
    assert "without a version" in watch.trouble
