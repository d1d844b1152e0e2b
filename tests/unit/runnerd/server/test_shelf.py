"""What Ollama's clients ask of a runner as a server."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelrunner_protocol.ollama import FOREVER, VERSION
from modelrunner_protocol.wire import Mode
from tests.support.gguf_files import SIZED
from tests.support.gguf_files import model as gguf
from tests.support.scripted_runner import CONFIG, Served, running


async def show(runner: Served, data: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON of /api/show."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    async with runner.client.post("/api/show", data=raw) as answer:
        return answer.status, await answer.json()


async def test_the_model(tmp_path: Path) -> None:
    """Its names, its size and its header; the context is the one that it is served with."""
    weights = tmp_path / "x.gguf"
    weights.write_bytes(gguf(metadata=SIZED))
    config = replace(CONFIG, weights=str(weights), context_size=512)
    async with running(tmp_path, config=config) as runner:
        _, tags = await runner.get("/api/tags")
        assert [one["name"] for one in tags["models"]] == ["smol:latest", "gpt-x:latest"]
        first = tags["models"][0]
        assert first["size"] == weights.stat().st_size
        assert first["details"]["format"] == "gguf"
        assert len(first["digest"]) == 64
        status, shown = await show(runner, {"model": "ml/smol"})
        assert status == 200
        architecture = shown["model_info"]["general.architecture"]
        assert shown["model_info"][f"{architecture}.context_length"] == 512
        assert shown["model_info"]["general.memory_bytes"] > first["size"]
        assert shown["template"] == "{{ messages }}"
        assert shown["details"] == first["details"]
        assert shown["details"]["memory_size"].endswith("iB")
        assert shown["capabilities"] == ["completion"]
        assert (await show(runner, {"name": "gpt-x"}))[0] == 200


async def test_what_is_no_model(tmp_path: Path) -> None:
    """It is told in Ollama's shape; a file that cannot be read says nothing."""
    async with running(tmp_path, config=replace(CONFIG, mode=Mode.EMBEDDING)) as runner:
        assert await show(runner, {"model": "nope"}) == (404, {"error": "model 'nope' not found"})
        assert await show(runner, {}) == (400, {"error": "model is required"})
        assert (await show(runner, b"{"))[0] == 400
        assert (await show(runner, b" " * 70_000))[0] == 413
        _, shown = await show(runner, {"model": "smol"})
        assert shown["capabilities"] == ["embedding"]
        assert shown["model_info"]["general.architecture"] == ""


async def test_what_runs(tmp_path: Path) -> None:
    """For ever, until a request brings a keep_alive."""
    async with running(tmp_path) as runner:
        _, running_ = await runner.get("/api/ps")
        assert [one["expires_at"] for one in running_["models"]] == [FOREVER]
        async with runner.client.post(
            "/api/generate", json={"model": "smol", "keep_alive": "1h"}
        ) as answer:
            assert answer.status == 200
        _, running_ = await runner.get("/api/ps")
        until = datetime.fromisoformat(running_["models"][0]["expires_at"])
        assert 3500 < (until - datetime.now(tz=UTC)).total_seconds() <= 3600
        assert (await runner.get("/api/version"))[1] == {"version": VERSION}


async def test_nothing_runs_yet(tmp_path: Path) -> None:
    """An engine on its way is not a running one."""
    async with running(tmp_path, "--never-healthy", until="loading") as runner:
        assert (await runner.get("/api/ps"))[1] == {"models": []}
