"""What the API server does not accept becomes a condition and not a loop."""

import pytest

from tests.integration.reconcilers.bench import Bench, condition, written

pytestmark = pytest.mark.control_plane

MODEL = {"source": {"http": {"url": "http://files.example/m.gguf"}}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"podTemplate": {"spec": {"containerz": []}}}, "containerz"),
        ({"podTemplate": {"spec": {"hostNetwork": "yes"}}}, "hostNetwork"),
        ({"podTemplate": {"spec": {"volumes": [{"name": "x", "nosuch": {}}]}}}, "nosuch"),
        ({"podTemplate": {"spec": {"containers": [{"name": "side"}]}}}, "image"),
        ({"podTemplate": {"metadata": {"labels": {"team": "{{ model.name }} x"}}}}, "m x"),
        ({"scheduling": {"affinity": {"nodeAffinity": {"bad": 1}}}}, "bad"),
    ],
)
async def test_a_pod_that_is_none(bench: Bench, spec: dict[str, object], words: str) -> None:
    """The server's own words reach the user, once, with what to change."""
    bench.put("ModelRunner", "default", spec)
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    if "labels" not in str(spec):
        await bench.cached("m")
    model = await bench.until_still("m")
    ready = condition(model, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "InvalidConfiguration"), ready
    assert words in ready["message"]
    assert "ModelRunner" in ready["message"]
    before = written()
    assert await bench.once("m") == 300
    assert written() == before
