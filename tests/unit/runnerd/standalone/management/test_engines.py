"""/engines: what runs, what it takes, how it is to run."""

from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode
from runnerd.server.dialects import reject
from runnerd.standalone.pages import RefusedError
from tests.support.managed import Site, managed, running, stock
from tests.support.scripted_runner import eventually

CONFIGURE = "/engines/_configure"


async def test_status(tmp_path: Path) -> None:
    """Each backend by name; clients read the first word."""
    async with managed(tmp_path) as site:
        _, told = await site.ask("GET", "/engines/status")
        assert told["llama.cpp"] == "Running: llama.cpp"
        assert set(told) == {"llama.cpp", "vllm", "sglang", "mlx", "diffusers"}
        others = [text for name, text in told.items() if name != "llama.cpp"]
        assert all(text.startswith("Not Installed: ") for text in others)


async def test_status_without_a_program(tmp_path: Path) -> None:
    """An engine that cannot be started is told."""
    async with managed(tmp_path, program=str(tmp_path / "none")) as site:
        _, told = await site.ask("GET", "/engines/status")
        assert told["llama.cpp"].startswith("Error: llama-server cannot be run")
        assert (await site.ask("GET", "/engines/df"))[1]["default_backend_disk_usage"] == 0


async def test_df(tmp_path: Path) -> None:
    """Bytes of the models, each once, and of the engine's program."""
    program = tmp_path / "engine"
    program.write_bytes(b"x" * 220)
    async with managed(tmp_path, program=str(program)) as site:
        stored = stock(site.catalogue, tmp_path, "ai/x")
        _, told = await site.ask("GET", "/engines/df")
        assert told["default_backend_disk_usage"] == 220
        size = stored.artifact.size_bytes
        assert size <= told["models_disk_usage"] < size + 20_000


async def test_ps(tmp_path: Path) -> None:
    """A row for each engine; what is in use has Go's zero time."""
    async with managed(tmp_path) as site:
        assert await site.ask("GET", "/engines/ps") == (200, [])
        stored = stock(site.catalogue, tmp_path, "ai/x")
        site.pool.rows = [
            running(stored, last_used=1.5, keep_alive=-1.0),
            running(stored, mode=Mode.EMBEDDING, in_use=True, loading=True, name="x"),
        ]
        assert (await site.ask("GET", "/engines/ps"))[1] == [
            {
                "backend_name": "llama.cpp",
                "model_name": "ai/smollm2",
                "mode": "completion",
                "last_used": "1970-01-01T00:00:01.500000Z",
                "keep_alive": "-1",
            },
            {
                "backend_name": "llama.cpp",
                "model_name": "x",
                "mode": "embedding",
                "last_used": "0001-01-01T00:00:00Z",
                "in_use": True,
                "loading": True,
                "keep_alive": "5m0s",
            },
        ]


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/engines/unload", {"models": ["ai/x"]}, 1),
        ("/engines/unload", {"models": ["docker.io/ai/x:latest", "none"]}, 1),
        ("/engines/unload", {"models": ["none"]}, 0),
        ("/engines/unload", {"all": True}, 2),
        ("/engines/unload", {}, 0),
        ("/engines/unload", {"all": True, "backend": "llama.cpp"}, 2),
        ("/engines/unload", {"all": True, "backend": "vllm"}, 0),
        ("/engines/llama.cpp/unload", {"all": True}, 2),
        ("/engines/vllm/unload", {"all": True}, 0),
        ("/engines/_unload", {"model": "ai/x"}, 1),
        ("/engines/llama.cpp/_unload", {"model": "x"}, 1),
        ("/engines/_unload", {"model": "none"}, 0),
    ],
)
async def test_unload(tmp_path: Path, path: str, body: dict[str, Any], count: int) -> None:
    """Both forms, with and without a backend; names that nobody knows run nowhere."""
    async with managed(tmp_path) as site:
        first = stock(site.catalogue, tmp_path, "ai/x")
        second = stock(site.catalogue, tmp_path, "ai/y", seed=2)
        site.pool.rows = [running(first), running(second)]
        assert await site.ask("POST", path, json=body) == (200, {"unloaded_runners": count})
        assert len(site.pool.rows) == 2 - count


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/engines/unload", b"{not json", 400, "invalid request body: it is not JSON"),
        ("/engines/unload", b'{"models": "x"}', 400, "models must be a list of names"),
        ("/engines/_unload", b"{}", 400, "model is required"),
        ("/engines/bogus/unload", b"{}", 404, "backend not found"),
        ("/engines/bogus/_unload", b"{}", 404, "backend not found"),
        ("/engines/bogus/_configure", b"{}", 404, "backend not found"),
        (CONFIGURE, b"{not json", 400, "invalid request body: it is not JSON"),
        (CONFIGURE, b"{}", 400, "model is required"),
        (CONFIGURE, b'{"model": "none"}', 404, "model not found: pull it first"),
        (CONFIGURE, b'{"model": "ai/x", "mode": "dance"}', 400, "mode must be one of"),
        (CONFIGURE, b'{"model": "ai/x", "mode": "image-generation"}', 501, "no engine here makes"),
        (CONFIGURE, b'{"model": "ai/x", "keep_alive": "soon"}', 400, "is not a keep-alive"),
        (CONFIGURE, b'{"model": "ai/x", "keep_alive": 300}', 400, "keep_alive must be a string"),
        (
            CONFIGURE,
            b'{"model": "ai/x", "runtime-flags": ["--log-file", "x"]}',
            400,
            'runtime flag "--log-file" is not allowed for backend "llama.cpp"',
        ),
        (
            CONFIGURE,
            b'{"model": "ai/x", "vllm": {"hf-overrides": {"a-b": 1}}}',
            400,
            "may not hold the key 'a-b'",
        ),
        ("/engines/vllm/_configure", b'{"model": "ai/x"}', 400, "cannot run weights in the format"),
        (
            CONFIGURE,
            b'{"model": "ai/x", "speculative": {"draft_model": "ai/none"}}',
            400,
            "speculative.draft_model: there is no model",
        ),
        ("/engines/install-backend", b'{"backend": "vllm"}', 501, "come with the server's image"),
        ("/engines/uninstall-backend", b"{}", 501, "come with the server's image"),
    ],
)
async def test_refused(tmp_path: Path, path: str, body: bytes, status: int, says: str) -> None:
    """Each with the status that says whose fault it is, in a line of plain text."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/x")
        async with site.client.post(path, data=body) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (status, "text/plain")
            assert says in text
            assert text.endswith("\n")
        assert site.pool.said == {}
        assert site.pool.leased == []


async def _configured(site: Site, body: dict[str, Any], path: str = CONFIGURE) -> None:
    async with site.client.post(path, json=body) as answer:
        assert (answer.status, await answer.read()) == (202, b"")


async def test_configure(tmp_path: Path) -> None:
    """What was said stays until other things are said; the model is loaded in the background."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/x")
        flags = {"runtime-flags": ["--temp", "0.2"]}
        whole = {"model": "x", "keep_alive": "10m", "context-size": 2048, **flags}
        await _configured(site, whole)
        only = {"model": "ai/x", "keep_alive": "-1"}
        await _configured(site, only, "/engines/llama.cpp/_configure")
        entry = {
            "Backend": "llama.cpp",
            "Model": "ai/x:latest",
            "ModelID": stored.identity,
            "Mode": "completion",
            "Config": {"context-size": 2048, **flags, "keep_alive": "-1"},
        }
        for query in ("", "?model=ai/x", "?model=docker.io%2Fai%2Fx"):
            assert await site.ask("GET", CONFIGURE + query) == (200, [entry])
        assert await site.ask("GET", f"{CONFIGURE}?model=none") == (200, [])
        await eventually(lambda: len(site.pool.leased) == 2)
        assert site.pool.leased[0] == (stored.identity, Mode.COMPLETION, "x")


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        ({"mode": "embedding"}, Mode.EMBEDDING),
        ({"mode": "reranking"}, Mode.RERANKING),
        ({"runtime-flags": "--embeddings"}, Mode.EMBEDDING),
        ({}, Mode.COMPLETION),
    ],
)
async def test_preload_in_the_right_mode(tmp_path: Path, body: dict[str, Any], mode: Mode) -> None:
    """Docker Model Runner always loads for chats."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/x")
        await _configured(site, {"model": "ai/x", **body})
        await eventually(lambda: site.pool.leased)
        assert site.pool.leased[0][1] is mode


async def test_the_only_mode_is_meant(tmp_path: Path) -> None:
    """A keep_alive for a model that makes embeddings is not said of its chats."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/x")
        site.pool.rows = [running(stored, mode=Mode.EMBEDDING)]
        await _configured(site, {"model": "ai/x", "keep_alive": "10m"})
        assert list(site.pool.said) == [(stored.identity, Mode.EMBEDDING)]


async def test_no_preload_of_what_is_unloaded_at_once(tmp_path: Path) -> None:
    """A keep_alive of 0 means that it is not to stay loaded."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/x")
        await _configured(site, {"model": "ai/x", "keep_alive": "0"})
        await _configured(site, {"model": "ai/x", "keep_alive": "1s"})
        await eventually(lambda: site.pool.leased)
        assert len(site.pool.leased) == 1


async def test_configure_what_is_busy(tmp_path: Path) -> None:
    """409 in the pool's words, which the command line prints."""
    async with managed(tmp_path) as site:
        stock(site.catalogue, tmp_path, "ai/x")
        site.pool.trouble = RefusedError(reject(409, "runner already active: ai/x is in use"))
        assert await site.ask("POST", CONFIGURE, json={"model": "ai/x"}) == (
            409,
            "runner already active: ai/x is in use\n",
        )


async def test_a_preload_that_fails_fails_alone(tmp_path: Path) -> None:
    """The client has its answer already, and the next request says why."""
    async with managed(tmp_path) as site:
        stored = stock(site.catalogue, tmp_path, "ai/x")
        site.pool.broken = RuntimeError("no memory")
        await _configured(site, {"model": "ai/x", "keep_alive": "5m"})
        await eventually(lambda: site.pool.leased)
        assert site.pool.said == {
            (stored.identity, Mode.COMPLETION): Configuration(keep_alive=300.0)
        }


async def test_a_model_without_a_name(tmp_path: Path) -> None:
    """What was configured and lost its names is told by its identity."""
    async with managed(tmp_path) as site:
        site.pool.configure("sha256:gone", Configuration(context_size=5))
        _, [entry] = await site.ask("GET", CONFIGURE)
        assert entry["Model"] == entry["ModelID"] == "sha256:gone"
