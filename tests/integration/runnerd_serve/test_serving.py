"""Every client's questions to a real model, loaded on demand."""

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.waiting import wait_until
from tests.support.engine import Engine
from tests.support.serving import Serving, stock

pytestmark = pytest.mark.engine

SAY_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hi."}]}


@pytest.fixture
def http(serving_smollm2: Serving) -> httpx.Client:
    """A client of the server with SmolLM2."""
    return serving_smollm2.http


@pytest.mark.parametrize("prefix", ["", "/engines", "/engines/llama.cpp"])
def test_chat(http: httpx.Client, prefix: str) -> None:
    """A chat is answered under every prefix, in the name that was asked for."""
    body = SAY_HI | {"model": "smollm2", "max_tokens": 4}
    answer = http.post(f"{prefix}/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.json()["model"] == "smollm2"
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.headers["X-Docker-Model-Runner"] == "true"


@pytest.mark.parametrize(
    "name",
    [
        *("ai/smollm2", "ai/smollm2:latest", "docker.io/ai/smollm2", "index.docker.io/ai/smollm2"),
        *("SmolLM2", "ai%2Fsmollm2"),
    ],
)
def test_names(serving_smollm2: Serving, name: str) -> None:
    """A model goes by every spelling of its reference."""
    answer = serving_smollm2.chat(name)
    assert (answer.status_code, answer.json()["model"]) == (200, name)


def test_names_by_identity(serving_smollm2: Serving) -> None:
    """A model goes by its identity, whole or short."""
    with serving_smollm2.http as http:
        identity = http.get("/models").json()[0]["id"]
    for name in (identity, identity.removeprefix("sha256:"), identity[7:19]):
        assert serving_smollm2.chat(name).json()["model"] == name


def test_stream(http: httpx.Client) -> None:
    """A stream is events, each in the name that was asked for, to its end."""
    body = SAY_HI | {"model": "smollm2", "max_tokens": 4, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    assert {json.loads(line)["model"] for line in lines[:-1]} == {"smollm2"}


def test_embeddings(http: httpx.Client) -> None:
    """Vectors come from an engine of their own, as numbers or as the same in base64."""
    body = {"model": "ai/smollm2", "input": ["one", "two"]}
    plain = http.post("/engines/v1/embeddings", json=body).json()["data"]
    packed = http.post("/v1/embeddings", json=body | {"encoding_format": "base64"}).json()["data"]
    assert len(plain) == 2
    for one, other in zip(plain, packed, strict=True):
        vector = one["embedding"]
        raw = base64.b64decode(other["embedding"])
        assert struct.unpack(f"<{len(vector)}f", raw) == pytest.approx(vector, abs=1e-4)
    rows = http.get("/engines/ps").json()
    assert "embedding" in {row["mode"] for row in rows}


def test_ollama(http: httpx.Client) -> None:
    """A chat line by line, with counters at the end."""
    body = SAY_HI | {"model": "smollm2:latest", "options": {"num_predict": 4}}
    lines = [json.loads(line) for line in http.post("/api/chat", json=body).text.splitlines()]
    assert {line["model"] for line in lines} == {"smollm2:latest"}
    assert "".join(line["message"]["content"] for line in lines)
    assert (lines[-1]["done"], lines[-1]["eval_count"]) == (True, 4)


def test_ollama_loads_and_unloads(http: httpx.Client) -> None:
    """Without a prompt a model is loaded, and with a keep_alive of 0 unloaded, and not loaded."""
    loaded = http.post("/api/generate", json={"model": "smollm2", "keep_alive": "30m"}).json()
    assert (loaded["done_reason"], loaded["response"]) == ("load", "")
    rows = http.get("/api/ps").json()["models"]
    assert [row["name"] for row in rows] == ["ai/smollm2:latest"]
    assert [row["keep_alive"] for row in http.get("/engines/ps").json() if "keep_alive" in row]
    for _ in range(2):
        gone = http.post("/api/chat", json={"model": "smollm2", "keep_alive": 0, "messages": []})
        assert gone.json()["done_reason"] == "unload"
        assert http.get("/api/ps").json() == {"models": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", SAY_HI | {"max_tokens": 2}),
        ("/v1/completions", {"prompt": "x", "max_tokens": 2}),
        ("/anthropic/v1/messages", SAY_HI | {"max_tokens": 2}),
        ("/v1/responses", {"input": "x", "max_output_tokens": 2}),
        ("/api/chat", SAY_HI | {"stream": False, "options": {"num_predict": 2}}),
    ],
)
def test_keep_alive(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Each dialect may say how long the model stays."""
    answer = http.post(path, json=body | {"model": "smollm2", "keep_alive": "7m"})
    assert answer.status_code == 200
    row = next(row for row in http.get("/engines/ps").json() if row["mode"] == "completion")
    assert row["keep_alive"] == "7m0s"
    body = body | {"model": "smollm2", "keep_alive": -1}
    assert http.post(path, json=body).status_code == 200
    row = next(row for row in http.get("/engines/ps").json() if row["mode"] == "completion")
    assert row["keep_alive"] == "-1"


@pytest.mark.parametrize("path", ["/anthropic/v1/messages", "/v1/messages"])
def test_anthropic(http: httpx.Client, path: str) -> None:
    """A message in Anthropic's shape, whole and streamed."""
    body = SAY_HI | {"model": "smollm2", "max_tokens": 4}
    answer = http.post(path, json=body, headers={"x-api-key": "x", "anthropic-version": "y"})
    assert (answer.json()["type"], answer.json()["model"]) == ("message", "smollm2")
    lines = http.post(path, json=body | {"stream": True}).text.splitlines()
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert (events[0], events[-1]) == ("message_start", "message_stop")
    counted = http.post(f"{path}/count_tokens", json=SAY_HI | {"model": "smollm2"})
    assert counted.json()["input_tokens"] > 0


def test_responses(http: httpx.Client) -> None:
    """A response is kept, and found again under every prefix."""
    body = {"model": "smollm2", "input": "Say hi.", "max_output_tokens": 4}
    made = http.post("/engines/v1/responses", json=body).json()
    assert made["model"] == "smollm2"
    assert http.get(f"/v1/responses/{made['id']}").json()["id"] == made["id"]
    assert http.delete(f"/engines/llama.cpp/v1/responses/{made['id']}").json()["deleted"] is True
    assert http.get(f"/responses/{made['id']}").status_code == 404


def test_tokens(http: httpx.Client) -> None:
    """Text becomes tokens and text again."""
    tokens = http.post("/tokenize", json={"model": "smollm2", "content": "Hello"}).json()["tokens"]
    told = http.post("/detokenize", json={"model": "smollm2", "tokens": tokens}).json()
    assert told["content"] == "Hello"


def test_ranking(http: httpx.Client) -> None:
    """Documents are ranked by an engine that is started for it, one result for each."""
    body = {"model": "smollm2", "query": "What is Rome?", "documents": ["A city", "A fruit"]}
    answer = http.post("/rerank", json=body)
    assert answer.status_code == 200
    assert sorted(one["index"] for one in answer.json()["results"]) == [0, 1]


def test_preload(http: httpx.Client) -> None:
    """Nothing is answered but that the model is there."""
    http.post("/engines/unload", json={"all": True})
    body = {"model": "ai/smollm2"}
    headers = {"X-Preload-Only": "true"}
    answer = http.post("/engines/v1/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert [row["model_name"] for row in http.get("/engines/ps").json()] == ["ai/smollm2"]
    unknown = http.post("/v1/completions", json={"model": "nope"}, headers=headers)
    assert unknown.status_code == 404


def test_lists(http: httpx.Client) -> None:
    """The model is in every family's list, without the Docker Hub's domain."""
    listed = http.get("/v1/models").json()
    assert [one["id"] for one in listed["data"]] == ["ai/smollm2:latest"]
    dmr = listed["data"][0]["dmr"]
    assert (dmr["context_window"], dmr["architecture"]) == (8192, "llama")
    assert (dmr["parameters"], dmr["quantization"]) == ("134.52 M", "Q4_1")
    assert (dmr["size"].endswith("MiB"), dmr["memory"].endswith("MiB")) == (True, True)
    (inspected,) = http.get("/models").json()
    assert http.get("/models/smollm2").json() == inspected
    config = inspected["config"]
    assert (config["format"], config["context_size"]) == ("gguf", 8192)
    for name in ("architecture", "parameters", "quantization", "size", "memory"):
        assert config[name] == dmr[name]
    for path in ("/engines/v1/models", "/engines/llama.cpp/v1/models", "/engines//v1//models"):
        assert http.get(path).json() == listed
    for name in ("smollm2", "ai/smollm2", "ai%2Fsmollm2:latest", "docker.io/ai/smollm2"):
        assert http.get(f"/v1/models/{name}").json() == listed["data"][0]
    assert http.get("/anthropic/v1/models").json()["first_id"] == "ai/smollm2:latest"
    tags = http.get("/api/tags").json()["models"]
    assert [one["name"] for one in tags] == ["ai/smollm2:latest"]
    shown = http.post("/api/show", json={"model": "smollm2"}).json()
    assert shown["model_info"]["llama.context_length"] == 8192
    assert "completion" in shown["capabilities"]
    assert shown["model_info"]["general.memory_bytes"] > tags[0]["size"]
    assert shown["details"] == tags[0]["details"]
    assert shown["details"]["memory_size"] == dmr["memory"]
    assert "<|im_start|>" in shown["template"]


def test_probes(http: httpx.Client) -> None:
    """What clients and machines ask first."""
    assert "Docker Model Runner is running" in http.get("/").text
    assert "Ollama is running" in http.get("/").text
    assert http.head("/").status_code == 200
    for path in ("/healthz", "/health", "/readyz", "/version", "/api/version"):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["Server"]) == (200, "runnerd")


def test_metrics(serving_smollm2: Serving) -> None:
    """One text that parses: the server's families, and every engine's with its labels."""
    assert serving_smollm2.chat("smollm2").status_code == 200
    with serving_smollm2.http as http:
        body = {"model": "smollm2", "input": "x"}
        assert http.post("/v1/embeddings", json=body).status_code == 200
        text = ""

        def all_told() -> bool:
            """Those of an engine that takes too long are left out."""
            nonlocal text
            text = http.get("/metrics").text
            engines = re.findall(r"^llamacpp:requests_processing\{", text, re.MULTILINE)
            return len(engines) == len(http.get("/engines/ps").json())

        wait_until("the metrics of all engines", all_told, seconds=120)
    families = {one.name: one for one in text_string_to_metric_families(text)}
    requests = families["runnerd_serve_requests"].samples
    assert {"chat_completions", "embeddings"} <= {one.labels["route"] for one in requests}
    for name in ("runnerd_ready", "llamacpp:requests_processing"):
        labels = [sample.labels for sample in families[name].samples]
        assert {(one["backend"], one["model"]) for one in labels} == {
            ("llama.cpp", "ai/smollm2:latest")
        }
        assert {"completion", "embedding"} <= {one["mode"] for one in labels}


def test_two_models_in_one_place(engine: Engine, tmp_path: Path) -> None:
    """One goes for the other one, with the numbers told, and both answer."""
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    models = tmp_path / "models"
    stock(models, engine.model, "ai/one:latest")
    stock(models, engine.model, "ai/two:latest", chat_template=template)
    with Serving(
        tmp_path, engine.llama_server, LLAMA_ARGS="-c 512 --metrics", RUNNERD_SLOTS="1"
    ) as server:
        for name in ("ai/one", "ai/two", "ai/one"):
            assert server.chat(name).json()["model"] == name
            with server.http as http:
                assert [row["model_name"] for row in http.get("/engines/ps").json()] == [name]
            assert len(server.engines()) == 1
        assert server.stop() == 0
