"""`runnerd resolve` and `runnerd pull` of buckets in servers for Google's and Azure's API."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import AzureSource, Credentials, FileKind, GcsSource, Source
from tests.integration.weights.commands import PATIENCE, Commands, until
from tests.integration.weights.conftest import MIB, SIZE
from tests.support import azure_server, gcs_server
from tests.support.azure_server import ACCOUNT, running_azure
from tests.support.freezing import stands_still
from tests.support.gcs_server import running_gcs
from tests.support.gguf_files import MODEL, model

BUCKET = "models"
Q4, Q8 = model(SIZE), model(SIZE + 4096, seed=2)
_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print("peak", peak, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class _Store:
    """One of the servers.

    Attributes:
        field: What a Model calls it.
        keys: Makes a good Secret in a folder.
        environment: How a command line names the server and its keys.
        word: The bucket in one word.
    """

    field: str
    put: Callable[[str, str, bytes], None]
    source: Callable[..., Source]
    keys: Callable[[Path], Credentials]
    environment: dict[str, str]
    word: str


def _gcs(url: str, put: Callable[[str, str, bytes], None]) -> _Store:
    def source(**asked: Any) -> Source:
        usual: dict[str, Any] = {"bucket": BUCKET, "endpoint": url, "insecure": True}
        return Source(gcs=GcsSource(**(usual | asked)))

    return _Store(
        field="gcs",
        put=put,
        source=source,
        keys=gcs_server.keys,
        environment={"GOOGLE_BASE_URL": url},
        word=f"gs://{BUCKET}",
    )


def _azure(url: str, put: Callable[[str, str, bytes], None]) -> _Store:
    def source(**asked: Any) -> Source:
        usual: dict[str, Any] = {"account": ACCOUNT, "endpoint": url, "insecure": True}
        named = {"container": asked.pop("bucket", BUCKET)}
        return Source(azure=AzureSource(**(usual | named | asked)))

    return _Store(
        field="azure",
        put=put,
        source=source,
        keys=azure_server.keys,
        environment={
            "AZURE_STORAGE_ENDPOINT": url,
            "AZURE_STORAGE_ACCOUNT_KEY": azure_server.KEY,
        },
        word=f"az://{ACCOUNT}/{BUCKET}",
    )


@pytest.fixture(scope="module", params=["gcs", "azure"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Store]:
    """A store with two models in a folder."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "gcs":
        with running_gcs(folder) as server:
            yield _filled(_gcs(server.url, server.put))
    else:
        with running_azure(folder) as server:
            yield _filled(_azure(server.url, server.put))


def _filled(store: _Store) -> _Store:
    store.put(BUCKET, "tiny/m-Q4_K_M.gguf", Q4)
    store.put(BUCKET, "tiny/m-Q8_0.gguf", Q8)
    store.put(BUCKET, "tiny/README.md", b"hello")
    return store


@pytest.fixture
def commands(commands: Commands, store: _Store, tmp_path: Path) -> Commands:
    """They ask for that folder, with the right keys."""
    commands.credentials = store.keys(tmp_path / "secret")
    commands.source = store.source(prefix="tiny")
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "50s"
    return commands


async def test_a_model_is_resolved_then_pulled(commands: Commands) -> None:
    """The usual quantization, by its ETag; the header alone resolves it."""
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert [(one.path, one.size_bytes) for one in artifact.files] == [("model.gguf", SIZE)]
    assert (artifact.digest, artifact.architecture) == ("", "llama")
    assert artifact.etag == artifact.files[0].etag != ""
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == Q4
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.digest == f"sha256:{hashlib.sha256(Q4).hexdigest()}"
    assert ended.outcome.artifact.etag == artifact.etag
    assert ended.outcome.downloaded_bytes == SIZE
    assert "private" not in ended.log.lower()
    assert azure_server.KEY not in ended.log


async def test_parts_by_the_name_of_one(store: _Store, commands: Commands) -> None:
    """Shards come in their order under our names."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    names = [f"split/m-Q8_0-0000{i}-of-00002.gguf" for i in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        store.put(BUCKET, name, part)
    commands.source = store.source(prefix=names[1])
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert ended.outcome.artifact is not None
    assert [(file.path, file.kind) for file in ended.outcome.artifact.files] == [
        ("model-00001-of-00002.gguf", FileKind.WEIGHTS),
        ("model-00002-of-00002.gguf", FileKind.WEIGHTS),
    ]
    assert (commands.folder / "model-00002-of-00002.gguf").read_bytes() == parts[1]


async def test_a_large_object_over_several_connections(store: _Store, commands: Commands) -> None:
    """Its parts come side by side, and the process stays small."""
    large = Q4 + bytes(60 * MIB)
    store.put(BUCKET, "large/m.gguf", large)
    commands.source = store.source(prefix="large/m.gguf")
    commands.prefix = (sys.executable, "-c", _MEASURED)
    ended = await commands.pull()
    assert ended.code == 0, ended.log
    assert (commands.folder / "model.gguf").read_bytes() == large
    peak = int(ended.log.partition("peak ")[2].split()[0])
    assert peak < 100 * MIB


async def test_kill_and_resume(commands: Commands) -> None:
    """After kill -9 only the rest is fetched."""
    artifact = (await commands.resolve()).outcome.artifact
    held = await commands.killed_midway(artifact)
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert 0 < held < SIZE
    assert ended.outcome.downloaded_bytes == SIZE - held
    assert (commands.folder / "model.gguf").read_bytes() == Q4


async def test_an_object_that_changed_is_fetched_anew(store: _Store, commands: Commands) -> None:
    """Halves of two versions never become one file, even when their sizes are equal."""
    store.put(BUCKET, "moving/m.gguf", Q4)
    commands.source = store.source(prefix="moving/m.gguf")
    artifact = (await commands.resolve()).outcome.artifact
    assert await commands.killed_midway(artifact) > 0
    store.put(BUCKET, "moving/m.gguf", other := model(SIZE, seed=9))
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == other


async def test_an_object_that_changes_while_it_is_pulled(store: _Store, commands: Commands) -> None:
    """The parts that are still to come are those of another version: all come anew."""
    old, new = (model(SIZE, seed=seed) + bytes([seed]) * (32 * MIB) for seed in (3, 4))
    store.put(BUCKET, "live/m.gguf", old)
    commands.source = store.source(prefix="live/m.gguf")
    commands.environment["RUNNERD_PULL_CONNECTIONS"] = "2"
    commands.prefix = (sys.executable, "-c", _PAUSED)
    running = await commands.start("pull")
    await until(lambda: stands_still(running.process.pid))
    store.put(BUCKET, "live/m.gguf", new)
    running.process.send_signal(signal.SIGCONT)
    ended = await running.ended()
    assert ended.code == 0, ended.outcome.message
    # Both servers end what they have begun to send, so only parts that are asked for later can tell.
    assert (commands.folder / "model.gguf").read_bytes() == new
    assert ended.outcome.downloaded_bytes > len(new)


# A pull that stops itself at its first bytes, when the last part cannot have been asked for.
_PAUSED = """
import os, signal, sys
from runnerd.weights.progress import ProgressMeter

def add(self, count, usual=ProgressMeter.add):
    usual(self, count)
    ProgressMeter.add = usual
    os.kill(os.getpid(), signal.SIGSTOP)

ProgressMeter.add = add
from runnerd.__main__ import command
sys.argv = ["runnerd", "pull"]
command()
"""


async def test_another_size_than_was_resolved(store: _Store, commands: Commands) -> None:
    """A volume was made for what was resolved."""
    store.put(BUCKET, "grown/m.gguf", Q4)
    commands.source = store.source(prefix="grown/m.gguf")
    artifact = (await commands.resolve()).outcome.artifact
    store.put(BUCKET, "grown/m.gguf", Q8)
    ended = await commands.pull(expected=artifact)
    assert "changed since it was resolved" in ended.outcome.message


@pytest.mark.parametrize(
    ("asked", "says", "reason"),
    [
        ({"prefix": "none"}, "no objects: set spec.source.{}.prefix", Reason.PULL_FAILED),
        ({"prefix": "none/m.gguf"}, "has no object none/m.gguf", Reason.PULL_FAILED),
        ({"quantization": "Q2_K"}, "set quantization to one of Q4_K_M, Q8_0", Reason.PULL_FAILED),
        ({"insecure": False}, "set spec.source.{}.insecure", Reason.INVALID_CONFIGURATION),
        ({"endpoint": "http://127.0.0.1:9"}, "does not answer (Connection", Reason.PULL_FAILED),
    ],
)
async def test_refusals(
    asked: dict[str, object], says: str, reason: Reason, store: _Store, commands: Commands
) -> None:
    """What cannot be pulled is told in words, with what to change."""
    commands.source = store.source(**({"prefix": "tiny"} | asked))
    if "endpoint" in asked:
        commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "3s"
    ended = await commands.resolve()
    assert ended.code == 1
    assert says.format(store.field) in ended.outcome.message
    assert ended.outcome.reason is reason
    assert "Traceback" not in ended.log


async def test_a_bucket_in_one_word(store: _Store, tmp_path: Path) -> None:
    """`runnerd pull gs://…` and `az://…` take server and keys from the stores' own variables."""
    word = f"{store.word}/tiny/m-Q8_0.gguf"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runnerd", "pull", word),
        *("--json", "--insecure", "--root", str(tmp_path)),
        env={**os.environ, **store.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    told = json.loads(answer.splitlines()[-1])
    assert process.returncode == 0, told
    assert told["source"] == word
    assert told["downloadedBytes"] == len(Q8)
