"""What programs ask for that the tests cannot install, call by call.

docker-agent and Olla are not on every Go module proxy, and Open WebUI brings gigabytes of packages.
Each function asks what one of them asks, in its order, and reads of the answers what it reads.
"""

import json
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from tests.support.clients.expectations import CHAT_MODEL, EMBEDDING_MODEL, PULLED_MODEL

_TAGGED: Final = f"{CHAT_MODEL}:latest"
_MESSAGES: Final = [{"role": "user", "content": "What is the capital of France?"}]


def docker_agent(http: httpx.Client, *, managed: bool = True) -> None:
    """An agent with the provider `dmr` (pkg/model/provider/dmr), and no `docker` to ask.

    Where models are not `managed` through the server it may not configure them: it notes that, and
    goes on.

    Raises:
        AssertionError: an answer is not what it reads.
    """
    base = "/engines/v1"
    listed = http.get(f"{base}/models").json()["data"]
    # It compares names as they are, or repositories where its own has no tag.
    found = next(one for one in listed if one["id"].partition(":")[0] == CHAT_MODEL)
    context = found["dmr"]["context_window"]
    assert context > 0
    one = http.get(f"{base}/models/{quote(CHAT_MODEL, safe='')}")
    assert one.status_code == 200
    assert one.json()["id"].partition(":")[0] == CHAT_MODEL
    wanted = {
        "model": CHAT_MODEL,
        "mode": "completion",
        "context-size": context,
        "keep_alive": "10m",
        "llamacpp": {"reasoning-budget": 0},
    }
    answer = http.post("/engines/_configure", json=wanted)
    assert answer.status_code == (202 if managed else 403)
    kept = http.get("/engines/_configure", params={"model": CHAT_MODEL}).json()
    (entry,) = [one for one in kept if one["Mode"] == "completion"]
    assert entry["Backend"] == "llama.cpp"
    if managed:
        assert answer.content == b""
        assert entry["Config"]["context-size"] == context
    _agent_chats(http, base)
    answer = http.post(f"{base}/embeddings", json={"model": EMBEDDING_MODEL, "input": ["a", "b"]})
    assert len(answer.json()["data"]) == 2
    answer = http.post("/engines/_unload", json={"model": CHAT_MODEL})
    assert answer.is_success or not managed, answer.text


def _agent_chats(http: httpx.Client, base: str) -> None:
    function = {"name": "t", "description": "", "parameters": {"type": "object", "properties": {}}}
    body = {
        "model": CHAT_MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, *_MESSAGES],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "parallel_tool_calls": True,
        "temperature": 0,
        "max_tokens": 24,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    # An empty key, as Go sends it.
    headers = {"Authorization": "Bearer"}
    with http.stream("POST", f"{base}/chat/completions", json=body, headers=headers) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.status_code == 200, lines
    assert all(line.startswith(("data: ", ":")) for line in lines)
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["usage"]["completion_tokens"] > 0


def olla(http: httpx.Client) -> None:
    """Olla's endpoint of the type `docker-model-runner` (config/profiles/dmr.yaml).

    Raises:
        AssertionError: an answer is not what it reads.
    """
    accept = {"Accept": "application/json, text/plain, */*", "User-Agent": "Olla-HealthChecker/v0"}
    health = http.get("/engines/v1/models", headers=accept)
    assert health.status_code == 200
    assert health.headers["X-Docker-Model-Runner"]
    told = http.get("/engines/v1/models", headers={"Accept": "application/json"}).json()
    assert told["object"] == "list"
    for one in told["data"]:
        assert one["id"]
        assert (one["object"], type(one["created"]), type(one["owned_by"])) == ("model", int, str)
    chat = {"model": _TAGGED, "messages": _MESSAGES, "max_tokens": 8}
    for prefix in ("/engines/v1", "/engines/llama.cpp/v1"):
        assert http.get(f"{prefix}/models").status_code == 200
        answer = http.post(f"{prefix}/chat/completions", json=chat).json()
        # What its metrics are made of.
        assert answer["model"] == _TAGGED
        assert answer["usage"]["prompt_tokens"] > 0
        text = {"model": _TAGGED, "prompt": "Once upon", "max_tokens": 8}
        assert http.post(f"{prefix}/completions", json=text).status_code == 200
    message = http.post("/anthropic/v1/messages", json=chat)
    assert message.json()["type"] == "message"
    counted = http.post("/anthropic/v1/messages/count_tokens", json=chat)
    assert counted.json()["input_tokens"] > 0


def open_webui(http: httpx.Client) -> None:
    """Open WebUI with this server as its Ollama and as its OpenAI (routers/ollama.py, openai.py).

    Raises:
        AssertionError: an answer is not what it reads.
    """
    version = http.get("/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    models = {one["model"]: one for one in http.get("/api/tags").json()["models"]}
    assert models[_TAGGED]["name"] == _TAGGED
    assert models[_TAGGED]["details"]["family"] == "llama"
    _webui_chats(http)
    running = http.get("/api/ps").json()["models"]
    assert running
    assert all(datetime.fromisoformat(one["expires_at"]).timestamp() > 0 for one in running)
    shown = http.post("/api/show", json={"model": _TAGGED}).json()
    assert "completion" in shown["capabilities"]
    embedded = http.post("/api/embed", json={"model": EMBEDDING_MODEL, "input": ["a"]}).json()
    assert len(embedded["embeddings"]) == 1
    names = [one["id"] for one in http.get("/v1/models").json()["data"]]
    assert _TAGGED in names
    body = {"model": _TAGGED, "messages": _MESSAGES, "stream": True, "max_tokens": 8}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.rstrip().endswith("data: [DONE]")
    unload = {"model": _TAGGED, "keep_alive": 0, "prompt": ""}
    assert http.post("/api/generate", json=unload).json()["done_reason"] == "unload"


def open_webui_manages(http: httpx.Client, pulled: str = PULLED_MODEL) -> None:
    """What its page of models does: pull, and delete again.

    Raises:
        AssertionError: an answer is not what it reads.
    """
    answer = http.post("/api/pull", json={"model": pulled, "stream": True})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1] == {"status": "success"}
    body = {"model": f"{pulled}:latest"}
    assert http.request("DELETE", "/api/delete", json=body).status_code == 200
    gone = http.request("DELETE", "/api/delete", json=body)
    assert (gone.status_code, list(gone.json())) == (404, ["error"])


def _webui_chats(http: httpx.Client) -> None:
    body: dict[str, Any] = {
        "model": _TAGGED,
        "messages": _MESSAGES,
        "options": {"num_predict": 8, "num_ctx": 2048},
        "stream": True,
    }
    with http.stream("POST", "/api/chat", json=body) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["eval_count"] > 0
