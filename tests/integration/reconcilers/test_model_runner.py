"""ModelRunners: judged, counted, and watched by Prometheus where there is one."""

from collections.abc import Iterator

import pytest

from modelrunner.reconcilers.model_runner import LOOK_EVERY
from tests.integration.reconcilers.bench import API, Bench, condition, written
from tests.support.kubeapi import KubeApi, Object
from tests.support.service_monitors import API_VERSION, serving_service_monitors

pytestmark = pytest.mark.control_plane

MODEL = {"source": {"http": {"url": "http://files.example/m.gguf"}}}


@pytest.fixture
def prometheus(api: KubeApi) -> Iterator[None]:
    """The kind ServiceMonitor is served."""
    with serving_service_monitors(api):
        yield


async def once(bench: Bench, name: str = "default") -> Object:
    """One reconcile of a ModelRunner; the object then."""
    await bench.look()
    result = await bench.runners.reconcile((bench.namespace, name))
    assert result.requeue_after is None
    return bench.must(API, "ModelRunner", name)


async def test_models_are_counted(bench: Bench) -> None:
    """All that refer to it, by name or by default, and how many are Ready."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "m", MODEL)
    bench.put("Model", "elsewhere", MODEL | {"runner": "other"})
    runner = await once(bench)
    assert (runner["status"]["models"], runner["status"]["readyModels"]) == (1, 0)
    assert condition(runner, "Ready")["status"] == "True"  # type: ignore[index]  # asserted
    await bench.serving("m")
    runner = await once(bench)
    assert (runner["status"]["models"], runner["status"]["readyModels"]) == (1, 1)
    before = written()
    bench.restart()
    await once(bench)
    assert written() == before


async def test_settings_that_cannot_be_used(bench: Bench) -> None:
    """The platform team reads of its mistake on its own object, and Models say the same."""
    bench.put("ModelRunner", "default", {"env": [{"name": "A", "value": "{{ model.nmae }}"}]})
    bench.put("Model", "m", MODEL)
    runner = await once(bench)
    ready = condition(runner, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "InvalidConfiguration")
    assert "'model.nmae' is undefined" in ready["message"]
    model = await bench.until_still("m")
    assert condition(model, "Ready")["reason"] == "InvalidConfiguration"  # type: ignore[index]  # asserted
    assert bench.api.list("batch/v1", "Job", bench.namespace) == []


async def test_a_monitor_where_there_is_prometheus(bench: Bench, prometheus: None) -> None:
    """Made, kept, changed with the ModelRunner, set back, and deleted when it is switched off."""
    bench.put("ModelRunner", "default", {"monitoring": {"labels": {"release": "p"}}})
    await once(bench)
    name = "model-runner-default"
    found = bench.must(API_VERSION, "ServiceMonitor", name)
    assert found["metadata"]["labels"]["release"] == "p"
    assert found["metadata"]["ownerReferences"][0]["kind"] == "ModelRunner"
    before = written()
    await once(bench)
    assert written() == before
    bench.api.delete(API_VERSION, "ServiceMonitor", name, bench.namespace)
    bench.offset = LOOK_EVERY + 1
    await once(bench)
    bench.must(API_VERSION, "ServiceMonitor", name)
    bench.put("ModelRunner", "default", {"monitoring": {"serviceMonitor": False}})
    await once(bench)
    assert bench.api.get(API_VERSION, "ServiceMonitor", name, bench.namespace) is None
