"""From `kubectl apply` to an answer, on a real cluster with a real engine."""

import json

import httpx
import pytest

from tests.support import manifests
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster


def test_applied_model_answers_a_chat(stack: Stack, default_runner: str) -> None:
    """A Model over http becomes a cached download, a Ready pod, a Service and an answer."""
    stack.apply(manifests.model(default_runner, "spine", stack.http_source()))
    found = stack.wait_for(default_runner, "spine", ready=True, settled=True)

    status = found["status"]
    assert status["phase"] == "Ready"
    assert status["engine"] == "llama.cpp"
    assert status["observedGeneration"] == found["metadata"]["generation"]
    assert condition(found, "Cached")["status"] == "True"
    assert {one["type"] for one in status["conditions"]} == {"Ready", "Cached"}
    assert status["artifact"]["digest"] == f"sha256:{stack.weights_sha256}"
    assert status["artifact"]["sizeBytes"] == stack.weights.stat().st_size
    assert (status["artifact"]["format"], status["artifact"]["architecture"]) == ("gguf", "llama")
    assert status["startup"]["totalSeconds"] >= status["startup"]["engineSeconds"] > 0
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)

    with stack.client(default_runner, "spine") as client:
        answer = client.post("/v1/chat/completions", json=chat("spine", max_tokens=8))
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "spine"
        assert answer.json()["choices"][0]["message"]["content"]
        assert client.get("/v1/models").json()["data"][0]["id"] == "spine"
    assert status["endpoint"].startswith("http://spine.")


def test_stream_arrives_in_pieces_and_ends_with_done(stack: Stack, default_runner: str) -> None:
    """A streamed chat is passed through event by event and ends with usage and [DONE]."""
    stack.apply(manifests.model(default_runner, "streamer", stack.http_source()))
    stack.wait_for(default_runner, "streamer", ready=True)
    body = chat("streamer", max_tokens=12, stream=True, stream_options={"include_usage": True})
    with (
        stack.client(default_runner, "streamer") as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    # The model may end before it has to.
    told = chunks[-1]["usage"]["completion_tokens"]
    assert 1 < told <= 12
    assert len(chunks) >= told / 2


def test_configuration_reaches_the_engine(stack: Stack, default_runner: str) -> None:
    """The contextSize set is what the engine runs with, and an alias is a name of the model."""
    config = {"contextSize": 1024}
    source = stack.http_source()
    stack.apply(
        manifests.model(
            default_runner, "configured", source, config=config, aliases=["gpt-4o-mini"]
        )
    )
    stack.wait_for(default_runner, "configured", ready=True)
    with stack.client(default_runner, "configured") as client:
        assert client.post("/v1/chat/completions", json=chat("gpt-4o-mini")).status_code == 200
        refused = client.post("/v1/chat/completions", json=chat("another"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
        long = chat("configured", content="word " * 3000)
        too_long = client.post("/v1/chat/completions", json=long)
    assert too_long.status_code == 400
    assert "1024" in too_long.text


def test_embedding_model_answers_vectors(stack: Stack, default_runner: str) -> None:
    """Mode embedding starts the engine for embeddings, warms that up, and refuses chats."""
    source = stack.http_source()
    config = {"mode": "embedding"}
    stack.apply(manifests.model(default_runner, "embedder", source, config=config))
    stack.wait_for(default_runner, "embedder", ready=True)
    with stack.client(default_runner, "embedder") as client:
        answer = client.post("/v1/embeddings", json={"model": "embedder", "input": ["a", "b"]})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["data"]) == 2
        assert client.post("/v1/chat/completions", json=chat("embedder")).status_code == 400


def test_weights_on_a_claim_are_used_in_place(stack: Stack, default_runner: str) -> None:
    """A persistentVolumeClaim source is read where it lies: no pull Job, no cache claim."""
    stack.seed_claim(default_runner, "weights", "models/smollm2.gguf")
    source = {"persistentVolumeClaim": {"name": "weights", "path": "models/smollm2.gguf"}}
    stack.apply(manifests.model(default_runner, "in-place", source))
    found = stack.wait_for(default_runner, "in-place", ready=True)
    assert found["status"]["artifact"]["architecture"] == "llama"
    claims = [
        one["metadata"]["name"] for one in stack.objects("persistentvolumeclaims", default_runner)
    ]
    assert claims == ["weights"]


def test_children_are_named_owned_and_locked_down(stack: Stack, default_runner: str) -> None:
    """Deployment and Service carry the Model's name, labels and owner; the pod holds no rights."""
    stack.apply(manifests.model(default_runner, "owned", stack.http_source()))
    uid = stack.wait_for(default_runner, "owned", ready=True)["metadata"]["uid"]
    for kind in ("deployments", "services"):
        child = stack.get(kind, default_runner, "owned")
        assert child is not None
        assert child["metadata"]["ownerReferences"][0]["uid"] == uid
        assert child["metadata"]["labels"]["modelrunner.dev/model"] == "owned"
    (pod,) = stack.objects(
        "pods", default_runner, "modelrunner.dev/model=owned,app.kubernetes.io/component=runner"
    )
    container = pod["spec"]["containers"][0]["securityContext"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    assert next(one for one in mounts if one["mountPath"] == "/models")["readOnly"] is True


def test_people_see_the_state_in_a_list(stack: Stack, default_runner: str) -> None:
    """`kubectl get models` answers phase, readiness, engine, size and replicas."""
    stack.apply(manifests.model(default_runner, "listed", stack.http_source()))
    stack.wait_for(default_runner, "listed", ready=True)
    printed = stack.kubectl("get", "models", "-n", default_runner, "listed")
    head, row = printed.splitlines()
    assert head.split()[:6] == ["NAME", "PHASE", "READY", "ENGINE", "SIZE", "PROGRESS"]
    assert row.split()[:4] == ["listed", "Ready", "True", "llama.cpp"]

    def described() -> str:
        told = stack.kubectl("describe", "model", "-n", default_runner, "listed")
        return told.partition("Events:")[2]

    # The event is written after the status.
    stack.wait("the event of its readiness", lambda: "Ready" in described())


def test_metrics_carry_model_runner_and_engine(stack: Stack, default_runner: str) -> None:
    """A runner's /metrics hold its own and the engine's families, labelled alike."""
    stack.apply(manifests.model(default_runner, "measured", stack.http_source()))
    stack.wait_for(default_runner, "measured", ready=True)
    with stack.client(default_runner, "measured") as client:
        client.post("/v1/chat/completions", json=chat("measured"))
        lines = client.get("/metrics").text.splitlines()
    labels = ('model="measured"', 'runner="default"', 'engine="llama.cpp"')
    for family in ("runnerd_requests_total", "llamacpp:prompt_tokens_total"):
        sample = next(line for line in lines if line.startswith(family))
        assert all(label in sample for label in labels), sample


def test_client_that_leaves_stops_the_generation(stack: Stack, default_runner: str) -> None:
    """When a streaming client goes away, the engine has nothing left to do."""
    # As much as the context holds: it must not end by itself before the client leaves.
    config = {"contextSize": 8192}
    stack.apply(manifests.model(default_runner, "left", stack.http_source(), config=config))
    stack.wait_for(default_runner, "left", ready=True)
    body = chat("left", max_tokens=8000, stream=True, ignore_eos=True)
    with stack.client(default_runner, "left") as client:
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            next(answer.iter_lines())
        stack.wait("the engine is idle", lambda: _told(client, "requests_processing") == 0)
        # One for each token: it did not go on to the end.
        assert _told(client, "n_decode_total") < 4000


def _told(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    sample = next(line for line in lines if line.startswith(f"llamacpp:{name}{{"))
    return float(sample.split()[-1])


def chat(model: str, content: str = "Say hello.", **fields: object) -> dict[str, object]:
    """A chat request with one message of the user."""
    messages = [{"role": "user", "content": content}]
    # By chance a model may have nothing to say.
    steady = {"max_tokens": 4, "temperature": 0}
    return {"model": model, "messages": messages, **steady, **fields}
