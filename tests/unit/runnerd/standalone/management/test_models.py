"""/models: listed, looked at, tagged, removed."""

from itertools import product
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.support.managed import Site, managed, running, stock


def _record(site: Site, identity: str) -> None:
    request = make_mocked_request("POST", "/v1/chat/completions")
    with site.recorder.recorded(request, b"{}", identity=identity, model="m") as answered:
        answered(web.Response())


async def test_an_empty_catalogue(tmp_path: Path) -> None:
    """A list, with and without a slash at its end."""
    async with managed(tmp_path) as site:
        assert await site.ask("GET", "/models") == (200, [])
        assert await site.ask("GET", "/models/") == (200, [])


async def test_a_model_in_every_spelling(tmp_path: Path) -> None:
    """Tags are told without Docker Hub's domain; any spelling finds it."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2", "local/copy:v1")
        _, listed = await site.ask("GET", "/models")
        [entry] = listed
        assert entry["id"] == stored.identity
        assert entry["tags"] == ["ai/smollm2:latest", "local/copy:v1"]
        assert entry["config"]["format"] == "gguf"
        assert entry["config"]["size"].endswith("KiB")
        assert isinstance(entry["created"], int)
        digits = stored.identity.removeprefix("sha256:")
        for name in (
            *("ai/smollm2", "ai/smollm2:latest", "docker.io/ai/smollm2", "ai%2Fsmollm2"),
            *("smollm2", "AI/SMOLLM2", "index.docker.io/ai/smollm2", "local/copy:v1"),
            *(stored.identity, digits, digits[:12]),
        ):
            assert await site.ask("GET", f"/models/{name}") == (200, entry), name


NO_MODEL = (
    *("ai/none", "..%2F..%2Fetc%2Fpasswd", "%00", "a%0d%0aX-Evil:%201", "x" * 3000, "'; drop--"),
)


async def test_what_is_no_model(tmp_path: Path) -> None:
    """404 in one line of plain text, whatever was asked for."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/smollm2")
        for method, name in product(("GET", "DELETE"), NO_MODEL):
            async with site.client.request(method, f"/models/{name}") as answer:
                text = await answer.text()
                assert (answer.status, answer.content_type) == (404, "text/plain")
                assert text.startswith("model not found: ")
                assert text.count("\n") == 1
                assert "X-Evil" not in answer.headers


async def test_tag(tmp_path: Path) -> None:
    """201 and what it is called now; the tag leads to the model."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2")
        assert await site.ask("POST", "/models/ai/smollm2/tag?repo=local/copy&tag=v1") == (
            201,
            {
                "message": 'Model tagged successfully with "local/copy:v1"',
                "target": "local/copy:v1",
            },
        )
        found = site.catalogue.find("local/copy:v1")
        assert found
        assert found.identity == stored.identity


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("ai/smollm2/tag", 400, "missing repo or tag query parameter"),
        ("ai/smollm2/tag?repo=a/b", 400, "missing repo or tag query parameter"),
        ("ai/smollm2/tag?tag=v1", 400, "missing repo or tag query parameter"),
        ("ai/smollm2/tag?repo=a%20b&tag=v1", 400, "is no reference"),
        ("ai/smollm2/tag?repo=../../x&tag=v1", 400, "is not the name of a registry"),
        ("ai/none/tag?repo=a/b&tag=v1", 404, "model not found"),
        ("ai/smollm2/frobnicate", 404, 'unknown action "frobnicate"'),
        ("ai/smollm2/repackage", 501, "repackage is not supported by this server"),
        ("smollm2", 404, 'unknown action "smollm2"'),
    ],
)
async def test_refused_actions(tmp_path: Path, path: str, status: int, says: str) -> None:
    """What cannot be done is told in a sentence."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/smollm2")
        found, text = await site.ask("POST", f"/models/{path}")
        assert found == status
        assert says in text


async def test_delete_takes_a_tag_and_then_the_model(tmp_path: Path) -> None:
    """Only with the last tag the model goes, its engine with it, and what was recorded of it."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2", "local/copy:v1")
        site.pool.rows = [running(stored)]
        _record(site, stored.identity)
        assert await site.ask("DELETE", "/models/local/copy:v1") == (
            200,
            [{"Untagged": "local/copy:v1"}],
        )
        assert site.pool.unloaded == []
        assert site.recorder.identities() == [stored.identity]
        assert await site.ask("DELETE", "/models/ai/smollm2") == (
            200,
            [{"Untagged": "ai/smollm2:latest"}, {"Deleted": stored.identity}],
        )
        assert site.pool.unloaded == [frozenset({stored.identity})]
        assert site.recorder.identities() == []
        assert (await site.ask("DELETE", "/models/ai/smollm2"))[0] == 404


@pytest.mark.parametrize("force", ["?force=true", "?force", "?force=1"])
async def test_force(tmp_path: Path, force: str) -> None:
    """A model that several tags lead to goes by its identity only with force."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/smollm2", "local/copy:v1")
        for unforced in ("", "?force=false", "?force=perhaps"):
            status, text = await site.ask("DELETE", f"/models/{stored.identity}{unforced}")
            assert status == 409
            assert "remove them one by one, or all with force" in text
        status, steps = await site.ask("DELETE", f"/models/{stored.identity}{force}")
        assert (status, steps[-1]) == (200, {"Deleted": stored.identity})
        assert len(steps) == 3


async def test_purge(tmp_path: Path) -> None:
    """All models go; the answer is empty."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/purge")
        assert await site.ask("DELETE", "/models/purge") == (200, "")
        assert site.catalogue.models() == []
        assert site.pool.unloaded == [frozenset({stored.identity})]
        assert await site.ask("DELETE", "/models/purge") == (200, "")


async def test_not_remote(tmp_path: Path) -> None:
    """A registry is not looked into."""
    async with managed(tmp_path) as site:
        status, text = await site.ask("GET", "/models/ai/smollm2?remote=true")
        assert status == 501
        assert "pull the model and inspect it here" in text


WRONG = [
    ("POST", "/models", "GET, HEAD"),
    ("PUT", "/models/ai/x", "DELETE, GET, HEAD, POST"),
    ("GET", "/models/create", "POST"),
    ("GET", "/models/purge", "DELETE"),
    ("GET", "/models/load", "POST"),
    ("POST", "/models/ai/x/export", "GET, HEAD"),
    ("GET", "/models/ai/x/push", "POST"),
    ("POST", "/engines/ps", "GET, HEAD"),
    ("POST", "/engines/df", "GET, HEAD"),
    ("POST", "/engines/status", "GET, HEAD"),
    ("GET", "/engines/unload", "POST"),
    ("GET", "/engines/llama.cpp/_unload", "POST"),
    ("DELETE", "/engines/_configure", "GET, HEAD, POST"),
    ("GET", "/engines/install-backend", "POST"),
    ("POST", "/engines/requests", "GET, HEAD"),
    ("POST", "/logs", "GET, HEAD"),
    ("POST", "/api/delete", "DELETE"),
    ("GET", "/api/pull", "POST"),
    ("GET", "/api/push", "POST"),
    ("GET", "/api/copy", "POST"),
    ("GET", "/api/create", "POST"),
]


async def test_wrong_methods(tmp_path: Path) -> None:
    """405 says which methods there are; Docker Model Runner says 404 to most of these."""
    async with managed(tmp_path) as site:
        for method, path, allow in WRONG:
            async with site.client.request(method, path) as answer:
                body = await answer.text()
                assert (answer.status, answer.headers["Allow"]) == (405, allow), path
                assert ("error" in body) is path.startswith("/api/")


async def test_a_volume_that_cannot_be_written(tmp_path: Path) -> None:
    """A sentence that says so, and nothing is changed: the server itself is not broken."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/smollm2")
        lock = site.catalogue.root / "models.lock"
        lock.unlink()
        lock.mkdir()
        for method, path in (
            ("DELETE", "/models/ai/smollm2"),
            ("DELETE", "/models/purge"),
            ("POST", "/models/ai/smollm2/tag?repo=a/b&tag=c"),
            ("POST", "/api/copy"),
            ("DELETE", "/api/delete"),
        ):
            body = {"model": "ai/smollm2", "source": "ai/smollm2", "destination": "a/b"}
            async with site.client.request(method, path, json=body) as answer:
                assert answer.status == 500
                assert "the models' volume cannot be written: Is a directory" in await answer.text()
        _, listed = await site.ask("GET", "/models")
        assert [entry["tags"] for entry in listed] == [["ai/smollm2:latest"]]
