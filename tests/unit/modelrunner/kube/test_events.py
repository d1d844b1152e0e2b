"""Events: series instead of repetitions, a bounded rate, never an exception."""

import asyncio
from typing import Any

from modelrunner.kube.errors import Forbidden
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import EVENTS
from tests.support.virtual_time import run
from tests.unit.modelrunner.kube.fake_client import FakeClient

MODEL = {
    "apiVersion": "modelrunner.dev/v1alpha1",
    "kind": "Model",
    "metadata": {"name": "m", "namespace": "ns", "uid": "u"},
}


def stored(client: FakeClient) -> list[dict[str, Any]]:
    """All events."""
    return [item for (resource, _, _), item in client.objects.items() if resource == EVENTS]


async def told(recorder: EventRecorder, note: str = "hello", **changed: Any) -> None:
    """Record one event."""
    given: dict[str, Any] = {"type": "Normal", "reason": "Pulled", "action": "Pull", **changed}
    await recorder.record(MODEL, note=note, **given)


def test_an_event_says_what_happened_to_whom() -> None:
    """All that events.k8s.io/v1 asks for is there."""

    async def scenario() -> None:
        client = FakeClient()
        await told(EventRecorder(client, "modelrunner.dev/operator", "pod-0"))
        event = stored(client)[0]
        assert event["regarding"] == {
            "apiVersion": "modelrunner.dev/v1alpha1",
            "kind": "Model",
            "namespace": "ns",
            "name": "m",
            "uid": "u",
        }
        assert event["reportingController"] == "modelrunner.dev/operator"
        assert event["reportingInstance"] == "pod-0"
        assert (event["type"], event["reason"], event["action"]) == ("Normal", "Pulled", "Pull")
        assert event["eventTime"].endswith("Z")
        assert len(event["eventTime"]) == len("2026-01-01T00:00:00.000000Z")

    run(scenario())


def test_repetitions_become_one_series_that_is_written_now_and_then() -> None:
    """A hundred equal events in a minute are one object and few writes."""

    async def scenario() -> None:
        client = FakeClient()
        recorder = EventRecorder(client, "c", "i", series_interval=10)
        for _ in range(61):
            await told(recorder)
            await asyncio.sleep(1)
        events = stored(client)
        assert len(events) == 1
        assert events[0]["series"]["count"] == 61
        assert len(client.requests) == 7

    run(scenario())


def test_other_words_or_a_long_silence_start_another_event() -> None:
    """A series is about one thing, and ends."""

    async def scenario() -> None:
        client = FakeClient()
        recorder = EventRecorder(client, "c", "i")
        await told(recorder)
        await told(recorder, "other")
        await told(recorder, reason="Other")
        await asyncio.sleep(400)
        await told(recorder)
        assert len(stored(client)) == 4

    run(scenario())


def test_an_expired_event_is_written_anew() -> None:
    """The server drops events after an hour; the series then begins again."""

    async def scenario() -> None:
        client = FakeClient()
        recorder = EventRecorder(client, "c", "i", series_interval=0)
        await told(recorder)
        client.objects.clear()
        await told(recorder)
        assert len(stored(client)) == 1

    run(scenario())


def test_one_object_cannot_flood_the_server() -> None:
    """A burst of 25, then one in five minutes; other objects are not held back."""

    async def scenario() -> None:
        client = FakeClient()
        recorder = EventRecorder(client, "c", "i")
        for number in range(100):
            await told(recorder, f"note {number}")
        assert len(stored(client)) == 25
        await asyncio.sleep(301)
        await told(recorder, "later")
        await told(recorder, "even later")
        assert len(stored(client)) == 26
        other = {**MODEL, "metadata": {"name": "o", "namespace": "ns", "uid": "o"}}
        await recorder.record(other, type="Warning", reason="R", note="n", action="A")
        assert len(stored(client)) == 27

    run(scenario())


def test_long_words_are_cut_to_the_limits_of_the_api() -> None:
    """1024 characters of note, 128 of reason and action; names stay names."""

    async def scenario() -> None:
        client = FakeClient()
        recorder = EventRecorder(client, "c", "i" * 300)
        await told(recorder, "n" * 5000, reason="r" * 300, action="a" * 300)
        event = stored(client)[0]
        assert [len(event[word]) for word in ("note", "reason", "action")] == [1024, 128, 128]
        assert event["note"].endswith("…")
        assert len(event["reportingInstance"]) == 128

    run(scenario())


def test_a_refusal_is_never_raised() -> None:
    """An event is not worth a failed reconcile."""

    async def scenario() -> None:
        client = FakeClient()
        client.failing = Forbidden(403, "Forbidden", "no")
        await told(EventRecorder(client, "c", "i"))

    run(scenario())
