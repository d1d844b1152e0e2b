"""With the cache whole and the network cut nothing is asked of it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelrunner_protocol.codec import encode
from modelrunner_protocol.sources import artifact_key, parse_source
from modelrunner_protocol.wire import RUN_CONFIG_VARIABLE, RunConfig
from tests.integration.weights.commands import Commands
from tests.support.engine import Engine
from tests.support.gguf_files import model
from tests.support.offline import Offline, offline
from tests.support.serving import scripted_program, stock

SOURCES = (
    "https://models.example.com/a/model.gguf",
    "ai/smollm2",
    "hf.co/owner/name:Q4_K_M",
    "s3://bucket/folder",
    "gs://bucket/folder",
    "az://account/container/folder",
)
PORT = 8080
"""Free: nobody else is in the namespace."""

CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}


@pytest.fixture
async def cut() -> AsyncIterator[Offline]:
    """A network with loopback alone."""
    async with offline() as made:
        yield made


async def _runnerd(cut: Offline, *arguments: str, **environment: str) -> str:
    process = await _started(cut, Path(os.devnull), *arguments, **environment)
    answer, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, answer.decode()
    return answer.decode()


async def _started(
    cut: Offline, log: Path, *arguments: str, **environment: str
) -> asyncio.subprocess.Process:
    with log.open("wb") as stream:
        return await asyncio.create_subprocess_exec(
            *(*cut.prefix, sys.executable, "-m", "runnerd", *arguments),
            env=_plain() | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=stream,
        )


def _plain() -> dict[str, str]:
    inherited = ("PATH", "LD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in inherited if name in os.environ}
    return found | {name: text for name, text in os.environ.items() if name.startswith("COV")}


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 180)


async def test_what_would_be_asked_is_counted(cut: Offline, tmp_path: Path) -> None:
    """The counters see a source that is not in the cache: else the tests below would prove nothing."""
    commands = Commands(tmp_path / "cache", "http://192.0.2.1/model.gguf", prefix=cut.prefix)
    commands.environment = {"RUNNERD_RESOLVE_TIMEOUT": "3s"}
    assert cut.wanted() == 0
    assert (await commands.resolve()).code == 1
    packets = cut.wanted()
    assert packets > 0
    commands.url = "https://models.example.com/model.gguf"
    assert (await commands.resolve()).code == 1
    assert cut.wanted() > packets


@pytest.mark.parametrize("word", SOURCES)
async def test_a_whole_cache_is_the_answer(word: str, cut: Offline, tmp_path: Path) -> None:
    """Imported without a network, it is resolved and pulled without one; no library is even loaded."""
    file, root = tmp_path / "any.gguf", tmp_path / "cache"
    file.write_bytes(model())
    await _runnerd(cut, "import", word, str(file), "--root", str(root))
    source = parse_source(word)
    commands = Commands(root, "", key=artifact_key(source), source=source, prefix=cut.prefix)
    commands.environment = {"PYTHONPROFILEIMPORTTIME": "1"}
    resolved = await commands.resolve()
    assert (resolved.code, resolved.outcome.cached) == (0, True), resolved.log
    pulled = await commands.pull(expected=resolved.outcome.artifact)
    assert (pulled.code, pulled.outcome.downloaded_bytes) == (0, 0), pulled.log
    assert pulled.outcome.artifact == resolved.outcome.artifact
    await commands.end()
    assert cut.wanted() == 0
    for library in ("huggingface_hub", "hf_xet", "obstore"):
        assert library not in resolved.log + pulled.log


@pytest.mark.parametrize("word", ["ai/smollm2", "https://models.example.com/smol.gguf"])
async def test_an_imported_model_runs(
    word: str, cut: Offline, engine: Engine, tmp_path: Path
) -> None:
    """From a file on a stick to an answer: import, resolve, run, with a real engine."""
    root, source = tmp_path / "cache", parse_source(word)
    await _runnerd(cut, "import", word, str(engine.model), "--root", str(root))
    commands = Commands(root, "", key=artifact_key(source), source=source, prefix=cut.prefix)
    resolved = await commands.resolve()
    artifact = resolved.outcome.artifact
    assert artifact is not None, resolved.log
    config = RunConfig(
        model="smol",
        namespace="ml",
        runner="cpu",
        engine="llama.cpp",
        weights=str(commands.folder / artifact.files[0].path),
        context_size=256,
        port=PORT,
    )
    process = await _started(
        cut,
        tmp_path / "log",
        "run",
        LLAMA_SERVER_PATH=str(engine.llama_server),
        RUNNERD_SOCKET_FOLDER=str(tmp_path),
        TERMINATION_LOG=str(tmp_path / "termination"),
        **{RUN_CONFIG_VARIABLE: encode(config)},
    )
    try:
        answer = await cut.ask(f"http://127.0.0.1:{PORT}/v1/chat/completions", CHAT)
        assert answer["choices"][0]["message"]["content"]
    finally:
        await _ended(process)
    assert cut.wanted() == 0, (tmp_path / "log").read_text()


async def test_a_stand_alone_server_needs_no_network(cut: Offline, tmp_path: Path) -> None:
    """It starts, lists, loads and answers with the models of its store."""
    file = tmp_path / "m.gguf"
    file.write_bytes(model())
    stock(tmp_path / "models", file, "ai/m:latest")
    process = await _started(
        cut,
        tmp_path / "log",
        "serve",
        HOME=str(tmp_path),
        LLAMA_SERVER_PATH=str(scripted_program(tmp_path)),
        MODELS_PATH=str(tmp_path / "models"),
        MODEL_RUNNER_PORT=str(PORT),
        RUNNERD_SOCKET_FOLDER=str(tmp_path),
    )
    try:
        url = f"http://127.0.0.1:{PORT}"
        listed = await cut.ask(f"{url}/models")
        assert len(listed) == 1
        chat = {**CHAT, "model": "ai/m", "script": "chat"}
        answer = await cut.ask(f"{url}/engines/v1/chat/completions", chat)
        assert answer["choices"]
    finally:
        await _ended(process)
    assert cut.wanted() == 0, (tmp_path / "log").read_text()
