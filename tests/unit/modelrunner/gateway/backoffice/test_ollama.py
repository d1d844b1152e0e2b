"""What Ollama's clients ask of the gateway as a server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from modelrunner.gateway.backoffice.application import back_office
from modelrunner.gateway.backoffice.catalogue import Catalogue
from modelrunner.gateway.table.table import RouteTable
from modelrunner.telemetry.probes import serving_socket
from modelrunner_protocol.ollama import FOREVER, MANAGEMENT, VERSION
from tests.support.table_objects import endpoint, endpoint_slice
from tests.unit.modelrunner.gateway.backoffice.models import ARTIFACT, Runners, model, table
from tests.unit.modelrunner.gateway.backoffice.test_application import PROBES, get

MINE = {"X-Modelrunner-Models": "other/*"}


def models() -> RouteTable:
    """One with aliases, one that embeds and runs, one whose name is an older one's."""
    artifact = ARTIFACT | {"digest": "sha256:" + "ab" * 32, "sizeBytes": 1000, "format": "gguf"}
    artifact["abilities"] = ["tools", "thinking"]
    found = table(
        model("smol", aliases=["ai/smol:8b"], artifact=artifact, config={"contextSize": 512}),
        model("embed", "other", config={"mode": "embedding"}, artifact=None),
        model("smol", "other", created="2026-08-01T12:00:00Z"),
    )
    found.put_slice(endpoint_slice("other/embed", endpoint("10.0.0.1", ready=True, pod="p")))
    return found


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the back office."""
    path = str(tmp_path / "office")
    app = back_office(PROBES, Catalogue(models()), Runners("{{ messages }}"))
    async with (
        serving_socket(app, path),
        aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(path)) as client,
    ):
        yield client


async def show(http: aiohttp.ClientSession, body: Any, **more: Any) -> tuple[int, Any]:
    """Status and JSON of /api/show."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, told = await get(http, "/api/show", "POST", data=raw, **more)
    return status, told


async def test_version(http: aiohttp.ClientSession) -> None:
    """New enough for those who ask."""
    assert (await get(http, "/api/version"))[2] == {"version": VERSION}


async def test_tags(http: aiohttp.ClientSession) -> None:
    """Every name has a tag, as Ollama's have; a name with a namespace is what it is."""
    found = {one["name"]: one for one in (await get(http, "/api/tags"))[2]["models"]}
    assert list(found) == ["ai/smol:8b", "embed:latest", "other/smol", "smol:latest"]
    assert found["smol:latest"]["digest"] == found["ai/smol:8b"]["digest"] == "ab" * 32
    assert found["smol:latest"]["size"] == 1000
    assert found["smol:latest"]["modified_at"] == "2026-07-01T12:00:00Z"
    assert found["smol:latest"]["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "134.52M",
        "quantization_level": "Q4_1",
        "context_length": 512,
        "memory_size": "262.40 MiB",
    }
    assert found["embed:latest"]["size"] == 0
    assert "memory_size" not in found["embed:latest"]["details"]


async def test_ps(http: aiohttp.ClientSession) -> None:
    """Those that have a ready runner."""
    (found,) = (await get(http, "/api/ps"))[2]["models"]
    assert (found["name"], found["expires_at"], found["size_vram"]) == ("embed:latest", FOREVER, 0)


async def test_show(http: aiohttp.ClientSession) -> None:
    """By any name, with the context that a conversation may have here."""
    status, found = await show(http, {"model": "docker.io/ai/smol:8b"})
    assert status == 200
    assert found["model_info"]["general.architecture"] == "llama"
    assert found["model_info"]["llama.context_length"] == 512
    assert found["model_info"]["general.memory_bytes"] == 275144704
    assert found["details"]["quantization_level"] == "Q4_1"
    assert found["template"] == ""
    assert found["capabilities"] == ["completion", "tools", "thinking"]
    status, found = await show(http, {"name": "embed"})
    assert (status, found["capabilities"]) == (200, ["embedding"])
    # It runs, so there is somebody who knows.
    assert found["template"] == "{{ messages }}"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "nope"}, 404, "model 'nope' not found"),
        ({}, 400, "model is required"),
        ({"model": 3}, 400, "no such request"),
        (b"{", 400, "no such request"),
        (b" " * 70_000, 413, "The body is larger than 65536 bytes"),
    ],
    ids=range(5),
)
async def test_show_errors(http: aiohttp.ClientSession, body: Any, status: int, words: str) -> None:
    """One sentence."""
    found, told = await show(http, body)
    assert (found, list(told)) == (status, ["error"])
    assert words in told["error"]


@pytest.mark.parametrize(("path", "method"), list(MANAGEMENT.items()))
async def test_models_are_not_managed_here(
    http: aiohttp.ClientSession, path: str, method: str
) -> None:
    """It says where they are, or how to allow it; a wrong method is told, too."""
    status, _, told = await get(http, path, method, data=b"{}")
    makes = path in {"/api/create", "/api/push"}
    assert (status, list(told)) == (501 if makes else 403, ["error"])
    assert ("docker model package" if makes else "kubectl") in told["error"]
    status, headers, _ = await get(http, path, "GET")
    assert (status, headers["Allow"]) == (405, method)


async def test_a_key_sees_its_own_models(http: aiohttp.ClientSession) -> None:
    """In lists, and one by one."""
    told = (await get(http, "/api/tags", headers=MINE))[2]["models"]
    assert [one["name"] for one in told] == ["embed:latest", "other/smol"]
    assert (await show(http, {"model": "smol"}, headers=MINE))[0] == 404
    assert (await show(http, {"model": "embed"}, headers=MINE))[0] == 200
    nothing = {"X-Modelrunner-Models": "none/*"}
    assert (await get(http, "/api/ps", headers=nothing))[2] == {"models": []}
