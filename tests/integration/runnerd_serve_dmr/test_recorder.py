"""What was asked of a real model can be looked at, as it comes and later."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.serving import Serving

pytestmark = pytest.mark.engine

PICTURE = base64.b64encode(bytes(range(200))).decode()


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_requests_as_they_come(server: Serving) -> None:
    """Of each dialect, whole and streamed; with the client's name for the model, and no key."""
    hi: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hi."}], "model": "smollm2"}
    key = {"Authorization": "Bearer secret", "User-Agent": "me/1"}
    with (
        server.http as http,
        http.stream(
            "GET", "/engines/requests?model=ai/smollm2", headers={"Accept": "text/event-stream"}
        ) as listened,
    ):
        events = _events(listened.iter_lines())
        assert next(events) == ("connected", {"status": "connected"})

        def asked(path: str, body: dict[str, Any]) -> dict[str, Any]:
            """The record of a request."""
            answer = httpx.post(server.url + path, json=body, headers=key, timeout=120)
            assert answer.status_code == 200, answer.text
            name, [entry] = next(events)
            assert (name, entry["count"], entry["model"]) == ("new_request", 1, "smollm2")
            [record] = entry["records"]
            assert (record["url"], record["status_code"], record["user_agent"]) == (
                path,
                200,
                "me/1",
            )
            assert "secret" not in json.dumps(entry)
            found: dict[str, Any] = record
            return found

        whole = asked("/v1/chat/completions", hi | {"max_tokens": 4})
        assert json.loads(whole["response"])["object"] == "chat.completion"
        streamed = asked("/v1/chat/completions", hi | {"max_tokens": 4, "stream": True})
        told = json.loads(streamed["response"])
        assert told["object"] == "chat.completion"
        assert told["choices"][0]["message"]["content"]
        message = asked("/anthropic/v1/messages", hi | {"max_tokens": 4, "stream": True})
        assert json.loads(message["response"])["content"][0]["text"]
        lines = asked("/api/chat", hi | {"options": {"num_predict": 4}})
        assert json.loads(lines["response"].splitlines()[-1])["done"] is True
        cut = asked("/v1/embeddings", {"model": "smollm2", "input": PICTURE})
        assert "...[truncated" in cut["request"]
    with server.http as http:
        [entry] = http.get("/engines/requests").json()
        assert (entry["count"], len(entry["records"])) == (5, 5)
        assert http.delete("/models/ai/smollm2").is_success
        assert http.get("/engines/requests").json() == []
