"""Events on a real API server."""

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import EVENTS, NAMESPACES, Resource

pytestmark = pytest.mark.control_plane
CONFIGS = Resource("", "v1", "configmaps", "ConfigMap")


async def test_equal_events_are_one_series(client: KubeClient, namespace: str) -> None:
    """The server accepts the event and its growing count; kubectl shows one line."""
    regarding = await client.create(
        CONFIGS,
        namespace,
        {"metadata": {"name": "c"}},
        field_manager="m",
    )
    recorder = EventRecorder(client, "modelrunner.dev/operator", "pod-0", series_interval=0)
    for _ in range(4):
        await recorder.record(
            {"apiVersion": "v1", "kind": "ConfigMap", **regarding},
            type="Warning",
            reason="PullFailed",
            note="404 from the file server",
            action="Pull",
        )
    events = [
        event
        for event in await client.list(EVENTS, namespace)
        if event.get("reportingController") == "modelrunner.dev/operator"
    ]
    assert len(events) == 1
    assert events[0]["series"]["count"] == 4
    assert events[0]["regarding"]["name"] == "c"


async def test_an_event_about_a_cluster_object_goes_to_default(client: KubeClient) -> None:
    """As the API demands."""
    found = await client.get(NAMESPACES, None, "kube-system")
    assert found is not None
    recorder = EventRecorder(client, "modelrunner.dev/operator", "pod-1")
    await recorder.record(found, type="Normal", reason="Seen", note="n", action="Look")
    names = [event["regarding"]["name"] for event in await client.list(EVENTS, "default")]
    assert "kube-system" in names
