"""What the gateway answers itself, through a Unix socket as the front does, and at the admin port."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from modelrunner.gateway.backoffice.application import Probes, admin, back_office
from modelrunner.gateway.backoffice.catalogue import Catalogue
from modelrunner.telemetry.probes import Report, serving, serving_socket
from modelrunner_protocol.ollama import WELCOME
from tests.unit.modelrunner.gateway.backoffice.models import Runners, model, table

MODELS = table(model("smollm2", aliases=["ai/smollm2"]), model("tensors", "other", engine="vllm"))


async def page() -> bytes:
    """A metrics page."""
    return b"up 1\n"


PROBES = Probes(
    version="1.2.3",
    health=lambda: Report(ok=True),
    ready=lambda: Report(ok=False, details={"trouble": "no API server"}),
    metrics=page,
)


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the back office."""
    path = str(tmp_path / "office")
    app = back_office(PROBES, Catalogue(MODELS), Runners())
    async with (
        serving_socket(app, path),
        aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(path)) as client,
    ):
        yield client


async def get(http: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> Any:
    """Status, headers, JSON of an answer; the path is sent as it is."""
    async with http.request(method, URL(f"http://gateway{path}", encoded=True), **more) as answer:
        text = await answer.text()
        assert answer.headers["Server"] == "model-runner-gateway"
        is_json = answer.content_type == "application/json" and text
        return answer.status, answer.headers, json.loads(text) if is_json else text


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/v1/models", ["ai/smollm2", "smollm2", "tensors"]),
        ("/v1/models/", ["ai/smollm2", "smollm2", "tensors"]),
        ("/engines/v1/models", ["ai/smollm2", "smollm2", "tensors"]),
        ("/engines/llama.cpp/v1/models", ["ai/smollm2", "smollm2"]),
        ("/engines/vllm/v1/models", ["tensors"]),
        ("/anthropic/v1/models", ["ai/smollm2", "smollm2", "tensors"]),
        ("/anthropic/v1/models/", ["ai/smollm2", "smollm2", "tensors"]),
    ],
)
async def test_models_are_listed(http: aiohttp.ClientSession, path: str, ids: list[str]) -> None:
    """Sleeping ones too; an engine's path lists that engine's."""
    status, _, body = await get(http, path)
    assert (status, [one["id"] for one in body["data"]]) == (200, ids)


async def test_no_models_is_an_empty_list(tmp_path: Path) -> None:
    """Olla takes it for healthy."""
    path = str(tmp_path / "office")
    async with (
        serving_socket(back_office(PROBES, Catalogue(table()), Runners()), path),
        aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(path)) as client,
    ):
        assert (await get(client, "/v1/models"))[2] == {"object": "list", "data": []}
        empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
        assert (await get(client, "/anthropic/v1/models"))[2] == empty


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/smollm2",
        "/engines/v1/models/ai/smollm2",
        "/engines/v1/models/ai%2Fsmollm2",
        "/engines/llama.cpp/v1/models/docker.io/ai/smollm2:latest",
        "/anthropic/v1/models/ml%2Fsmollm2",
    ],
)
async def test_one_model_is_told_by_any_name(http: aiohttp.ClientSession, path: str) -> None:
    """With slashes written as they are or as %2F; the ID is the one that was asked for."""
    status, _, body = await get(http, path)
    assert status == 200
    assert path.replace("%2F", "/").endswith(f"/models/{body['id']}")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/nothing", 404, "model_not_found"),
        ("GET", "/engines/vllm/v1/models/smollm2", 404, "model_not_found"),
        ("GET", "/engines/bogus/v1/models", 404, "engine_not_found"),
        ("GET", "/nope", 404, "not_found"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/engines/v1/models/smollm2", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
    ],
)
async def test_errors_are_openais(
    http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    """A word for programs and a sentence for people."""
    found, headers, body = await get(http, path, method)
    assert (found, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]
    if status == 405:
        assert ("GET" in headers["Allow"]) == (path != "/v1/chat/completions")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/anthropic/v1/models/nothing", ("error", "not_found_error")),
        ("/anthropic/v1/nope", ("error", "not_found_error")),
    ],
)
async def test_anthropics_clients_get_anthropics_errors(
    http: aiohttp.ClientSession, path: str, told: tuple[str, str]
) -> None:
    """In the shape that their libraries raise."""
    status, _, body = await get(http, path)
    assert (status, (body["type"], body["error"]["type"])) == (404, told)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/images/generations", 501, "unsupported_route"),
        ("/engines/llama.cpp/v1/images/generations", 501, "unsupported_route"),
        ("/engines/bogus/v1/images/generations", 404, "engine_not_found"),
    ],
)
async def test_nobody_makes_images(
    http: aiohttp.ClientSession, path: str, status: int, code: str
) -> None:
    """It is said at once, however long the prompt is; no model is woken for that."""
    found, _, body = await get(http, path, "POST", data=b"x" * 10_000)
    assert (found, body["error"]["code"]) == (status, code)
    found, headers, _ = await get(http, "/v1/images/generations")
    assert (found, headers["Allow"]) == (405, "POST")


async def test_ollamas_clients_get_ollamas_errors(http: aiohttp.ClientSession) -> None:
    """One sentence."""
    status, _, body = await get(http, "/api/nope")
    assert (status, list(body)) == (404, ["error"])


async def test_a_key_sees_its_own_models(http: aiohttp.ClientSession) -> None:
    """By the patterns that routing sends along."""
    mine = {"X-Modelrunner-Models": "other/*"}
    assert [one["id"] for one in (await get(http, "/v1/models", headers=mine))[2]["data"]] == [
        "tensors"
    ]
    assert (await get(http, "/v1/models/smollm2", headers=mine))[0] == 404
    assert (await get(http, "/v1/models/tensors", headers=mine))[0] == 200


async def test_metrics_are_not_for_keys_of_some_models(http: aiohttp.ClientSession) -> None:
    """They tell the names of all."""
    assert (await get(http, "/metrics", headers={"X-Modelrunner-Models": "ml/* *"}))[0] == 200
    status, _, body = await get(http, "/metrics", headers={"X-Modelrunner-Models": "ml/*"})
    assert (status, body["error"]["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", ["/", "/v1/models", "/version", "/v1/models/smollm2"])
async def test_a_head_is_a_get_without_its_body(http: aiohttp.ClientSession, path: str) -> None:
    """dmr-golden/002 and /039."""
    status, headers, body = await get(http, path, "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0


async def test_probes_version_and_a_word_of_welcome(http: aiohttp.ClientSession) -> None:
    """What is open to everybody."""
    assert (await get(http, "/"))[::2] == (200, WELCOME)
    assert (await get(http, "/version"))[::2] == (200, {"version": "1.2.3"})
    assert (await get(http, "/healthz"))[::2] == (200, {"ok": True})
    assert (await get(http, "/health"))[::2] == (200, {"status": "ok"})
    # Anybody may ask: what is wrong is told at the admin port.
    assert (await get(http, "/readyz"))[::2] == (503, {"ok": False})
    status, headers, body = await get(http, "/metrics")
    assert (status, body) == (200, "up 1\n")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_the_admin_port_has_probes_only() -> None:
    """It asks for no key, so it tells nothing of models."""
    async with (
        serving(admin(PROBES), "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        for path, status in {
            "/healthz": 200,
            "/readyz": 503,
            "/metrics": 200,
            "/v1/models": 404,
        }.items():
            async with client.get(path) as answer:
                assert answer.status == status
                if path == "/readyz":
                    assert (await answer.json())["trouble"] == "no API server"


async def test_a_fault_of_ours_is_told_in_the_dialect_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No client gets a stack, and no on-call is left without one."""

    async def broken() -> bytes:
        raise RuntimeError("of the test")

    path = str(tmp_path / "office")
    probes = Probes("1", PROBES.health, PROBES.ready, broken)
    async with (
        serving_socket(back_office(probes, Catalogue(MODELS), Runners()), path),
        aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(path)) as client,
    ):
        status, _, body = await get(client, "/metrics")
    assert (status, body["error"]["code"]) == (500, "internal_error")
    assert "of the test" in caplog.text
