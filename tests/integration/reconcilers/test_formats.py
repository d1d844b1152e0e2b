"""Weights that the engine cannot run: told before anything is taken for them."""

from dataclasses import replace

import pytest

from modelrunner_protocol.wire import FileKind, Outcome, WeightsFile
from tests.integration.reconcilers.bench import Bench, condition
from tests.integration.reconcilers.test_changes import says
from tests.integration.reconcilers.test_failures import MODEL
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

TENSORS = replace(
    ARTIFACT,
    format="safetensors",
    size_bytes=1000,
    files=(
        WeightsFile(path="model.safetensors", size_bytes=900),
        WeightsFile(path="config.json", size_bytes=100, kind=FileKind.CONFIG),
    ),
    architecture="llama",
    parameters="134.52 M",
    quantization="BF16",
    context_size=8192,
    memory_bytes=275_000_000,
)


async def test_safetensors_take_no_volume_no_pull_and_no_gpu(bench: Bench) -> None:
    """The Model says what there is and what would run, and its status tells all that was found."""
    bench.put("ModelRunner", "default", {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}})
    bench.put("Model", "m", MODEL)
    await bench.until_still("m")
    bench.end_pod("resolve", Outcome(artifact=TENSORS), exit_code=0)
    model = await bench.until_still("m")
    assert says(model, "Ready") == ("False", "UnsupportedFormat")
    assert says(model, "Cached") == ("False", "UnsupportedFormat")
    assert says(model, "Stalled") == ("True", "UnsupportedFormat")
    found = condition(model, "Ready")
    assert found is not None
    assert (
        "holds safetensors weights (llama, 134.52 M, BF16, 1000 B), and llama.cpp runs GGUF: name a "
        "source with GGUF weights"
    ) in found["message"]
    told = model["status"]["artifact"]
    assert (told["format"], told["architecture"], told["contextSize"]) == (
        "safetensors",
        "llama",
        8192,
    )
    assert (told["memoryBytes"], told["memory"]) == (275_000_000, "262.3 MiB")
    namespace = bench.namespace
    for api_version, kind in (("v1", "PersistentVolumeClaim"), ("apps/v1", "Deployment")):
        assert bench.api.list(api_version, kind, namespace) == []
    jobs = bench.api.list("batch/v1", "Job", namespace)
    assert [job["metadata"]["name"] for job in jobs if "pull" in job["metadata"]["name"]] == []
