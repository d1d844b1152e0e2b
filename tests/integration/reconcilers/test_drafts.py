"""A Model that drafts with another one, on a real API server."""

from typing import Any

import pytest

from modelrunner_protocol.codec import decode
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import HttpSource, RunConfig, Source
from tests.integration.reconcilers.bench import Bench, condition, written
from tests.support.kubeapi import Object
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane

BIG = "http://files.example/big.gguf"
SMALL = "http://files.example/small.gguf"
KEY = artifact_key(Source(http=HttpSource(url=SMALL)))


def _source(url: str) -> dict[str, Any]:
    return {"source": {"http": {"url": url}}}


def _drafting(**more: Any) -> dict[str, Any]:
    speculative = {"draftModel": "small", "minAcceptanceRate": 0.5, **more}
    return _source(BIG) | {"config": {"speculative": speculative}}


def _said(model: Object, kind: str) -> tuple[str, str]:
    found = condition(model, kind)
    assert found is not None, model["status"]
    return found["reason"], found["message"]


async def test_a_model_and_its_draft(bench: Bench) -> None:
    """It waits for the draft to be there, then for its weights; both caches end in its pods."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "big", _drafting())
    await bench.cached("big")
    model = bench.model("big")
    assert condition(model, "Cached")["status"] == "True"  # type: ignore[index]  # asserted by it
    reason, message = _said(model, "Stalled")
    assert reason == "InvalidConfiguration"
    assert "there is no Model small in the namespace" in message
    assert bench.api.get("apps/v1", "Deployment", "big", bench.namespace) is None

    bench.put("Model", "small", _source(SMALL))
    await bench.until_still("small")
    reason, message = _said(await bench.until_still("big"), "Reconciling")
    assert reason == "Resolving"
    assert message.startswith("waiting for the draft model small: ")
    await bench.cached("small")

    await bench.until_still("big")
    pod = bench.must("apps/v1", "Deployment", "big")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    draft = volumes["draft"]["persistentVolumeClaim"]
    assert draft == {"claimName": f"model-cache-{KEY}", "readOnly": True}
    variables = {item["name"]: item.get("value", "") for item in pod["containers"][0]["env"]}
    told = decode(RunConfig, variables["RUNNERD_CONFIG"]).draft
    assert told is not None
    assert told.weights == f"/draft/{KEY}/{ARTIFACT.files[0].path}"
    assert (told.max_tokens, told.min_probability) == (None, 0.5)
    bench.stop_clock()
    await bench.until_still("big")
    before = written()
    await bench.until_still("big")
    bench.restart()
    await bench.until_still("big")
    assert written() == before


async def test_a_draft_that_changes_and_goes(bench: Bench) -> None:
    """Another source of it is waited for, then served; one that is gone is told, not acted on."""
    bench.put("ModelRunner", "default", {})
    bench.put("Model", "small", _source(SMALL))
    await bench.cached("small")
    bench.put("Model", "big", _drafting(numTokens=4))
    await bench.cached("big")
    first = bench.must("apps/v1", "Deployment", "big")

    bench.put("Model", "small", _source(f"{SMALL}?v=2"))
    await bench.until_still("small")
    assert _said(await bench.until_still("big"), "Reconciling")[0] == "Resolving"
    unchanged = bench.must("apps/v1", "Deployment", "big")
    assert unchanged["metadata"]["generation"] == first["metadata"]["generation"]
    await bench.cached("small")
    await bench.until_still("big")
    second = bench.must("apps/v1", "Deployment", "big")
    assert second["metadata"]["generation"] > first["metadata"]["generation"]

    bench.api.delete("modelrunner.dev/v1alpha1", "Model", "small", bench.namespace)
    model = await bench.until_still("big")
    assert _said(model, "Stalled")[0] == "InvalidConfiguration"
    kept = bench.must("apps/v1", "Deployment", "big")
    assert kept["metadata"]["generation"] == second["metadata"]["generation"]
