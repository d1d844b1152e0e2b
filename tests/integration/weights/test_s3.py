"""`runnerd resolve` and `runnerd pull` of a bucket in a real S3 server."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import FileKind, S3Source, Source
from tests.integration.weights.commands import CRAWL, PATIENCE, Commands, Ended, until
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.gguf_files import MODEL, model
from tests.support.s3_server import KEY, KEY_ID, REGION, S3Server, keys, running_s3

BUCKET = "models"
Q4, Q8 = model(SIZE), model(SIZE + 4096, seed=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store with two models in a folder."""
    with running_s3(tmp_path_factory.mktemp("s3")) as store:
        store.put(BUCKET, "tiny/m-Q4_K_M.gguf", Q4)
        store.put(BUCKET, "tiny/m-Q8_0.gguf", Q8)
        store.put(BUCKET, "tiny/README.md", b"hello")
        yield store


@pytest.fixture
def commands(commands: Commands, store: S3Server, tmp_path: Path) -> Commands:
    """They ask for that folder, with the right keys."""
    commands.credentials = keys(tmp_path / "secret")
    _ask(commands, store)
    return commands


def _ask(commands: Commands, store: S3Server, **more: object) -> None:
    usual = {"bucket": BUCKET, "prefix": "tiny", "endpoint": store.url, "region": REGION}
    source = S3Source(**(usual | {"insecure": True} | more))  # type: ignore[arg-type]  # named in each test
    commands.source = Source(s3=source)


def _failed(
    ended: Ended, *says: str, reason: Reason = Reason.PULL_FAILED, retryable: bool | None = None
) -> None:
    assert ended.code == 1
    for one in says:
        assert one in ended.outcome.message
    assert ended.outcome.reason == reason
    assert retryable in {None, ended.outcome.retryable}
    assert "Traceback" not in ended.log
    assert KEY not in ended.log


async def test_a_model_is_resolved_then_pulled(store: S3Server, commands: Commands) -> None:
    """The usual quantization, by its ETag; the header alone resolves it."""
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    tag = f'"{hashlib.md5(Q4).hexdigest()}"'
    assert [(one.path, one.size_bytes, one.etag) for one in artifact.files] == [
        ("model.gguf", SIZE, tag)
    ]
    assert (artifact.etag, artifact.digest, artifact.architecture) == (tag, "", "llama")
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == Q4
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.digest == f"sha256:{hashlib.sha256(Q4).hexdigest()}"
    assert ended.outcome.downloaded_bytes == SIZE
    assert KEY not in ended.log


async def test_parts_and_the_best_projector(store: S3Server, commands: Commands) -> None:
    """Shards come in their order under our names, by a folder or by the name of one of them."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    names = [f"split/m-Q8_0-0000{i}-of-00002.gguf" for i in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        store.put(BUCKET, name, part)
    projector = model(4096, {"general.architecture": "clip", "general.type": "mmproj"})
    store.put(BUCKET, "split/mmproj-F16.gguf", projector)
    _ask(commands, store, prefix=names[1])
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert [file.kind for file in artifact.files] == [FileKind.WEIGHTS, FileKind.WEIGHTS]
    _ask(commands, store, prefix="split", quantization="q8_0")
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert ended.outcome.artifact is not None
    assert [(file.path, file.kind) for file in ended.outcome.artifact.files] == [
        ("model-00001-of-00002.gguf", FileKind.WEIGHTS),
        ("model-00002-of-00002.gguf", FileKind.WEIGHTS),
        ("model.mmproj", FileKind.PROJECTOR),
    ]
    assert (commands.folder / "model-00002-of-00002.gguf").read_bytes() == parts[1]
    assert (commands.folder / "model.mmproj").read_bytes() == projector


async def test_a_large_object_over_several_connections(store: S3Server, commands: Commands) -> None:
    """Its parts come side by side, and the process stays small."""
    large = Q4 + bytes(60 * MIB)
    store.put(BUCKET, "large/m.gguf", large)
    _ask(commands, store, prefix="large/m.gguf")
    commands.prefix = (sys.executable, "-c", _MEASURED)
    ended = await commands.pull()
    assert ended.code == 0, ended.log
    assert (commands.folder / "model.gguf").read_bytes() == large
    peak = int(ended.log.partition("peak ")[2].split()[0])
    assert peak < 100 * MIB


_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print("peak", peak, file=sys.stderr)
sys.exit(code)
"""


async def test_kill_and_resume(store: S3Server, commands: Commands) -> None:
    """After kill -9 only the rest is fetched."""
    artifact = (await commands.resolve()).outcome.artifact
    held = await commands.killed_midway(artifact)
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert 0 < held < SIZE
    assert ended.outcome.downloaded_bytes == SIZE - held
    assert (commands.folder / "model.gguf").read_bytes() == Q4


async def test_an_object_that_changed_is_fetched_anew(store: S3Server, commands: Commands) -> None:
    """Halves of two versions never become one file, even when their sizes are equal."""
    store.put(BUCKET, "moving/m.gguf", Q4)
    _ask(commands, store, prefix="moving/m.gguf")
    artifact = (await commands.resolve()).outcome.artifact
    assert await commands.killed_midway(artifact) > 0
    store.put(BUCKET, "moving/m.gguf", other := model(SIZE, seed=9))
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert "starting over" in ended.log
    assert (commands.folder / "model.gguf").read_bytes() == other


async def test_files_of_two_versions_are_never_mixed(store: S3Server, commands: Commands) -> None:
    """A file that was complete comes again when its object changed before the others came."""
    commands.environment["RUNNERD_PULL_BANDWIDTH"] = CRAWL
    shards = [{**MODEL, "split.no": i, "split.count": 2} for i in range(2)]
    names = [f"pair/m-0000{i}-of-00002.gguf" for i in (1, 2)]
    sizes = (4096, SIZE)
    for name, keys_, size in zip(names, shards, sizes, strict=True):
        store.put(BUCKET, name, model(size, keys_))
    _ask(commands, store, prefix="pair")
    running = await commands.start("pull")
    second = commands.partial.with_name("model-00002-of-00002.gguf")
    await until(lambda: second.exists() and second.stat().st_size > 0)
    running.process.kill()
    await running.process.wait()
    del commands.environment["RUNNERD_PULL_BANDWIDTH"]
    new = [model(size, keys_, seed=5) for keys_, size in zip(shards, sizes, strict=True)]
    for name, data in zip(names, new, strict=True):
        store.put(BUCKET, name, data)
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    for i, data in enumerate(new, 1):
        assert (commands.folder / f"model-0000{i}-of-00002.gguf").read_bytes() == data


async def test_objects_with_odd_names(store: S3Server, commands: Commands) -> None:
    """A model is found among them, and has its own name; one that nobody can ask for is named."""
    folder = "odd größe %2F+"
    names = ["M-Q4_K_M.gguf", "m-Q4_K_M.gguf", "日本 🙂.txt", "a?b#c&d.txt", "n" * 250]
    for name in names:
        store.put(BUCKET, f"{folder}/{name}", Q4)
    for depth in range(1, 5):
        # Of 1,024 bytes, as long as a key may be.
        store.put(BUCKET, f"{folder}/" + ("d" * 240 + "/") * (depth - 1) + "e" * 240, b"x")
    (store.folder / BUCKET / folder / "empty").mkdir()
    store.put(BUCKET, "broken/m.gguf", Q4)
    (store.folder / BUCKET / "broken" / "line\nbreak.txt").write_bytes(b"x")
    _ask(commands, store, prefix="broken")
    says = r"whose name ('broken/line\nbreak.txt') has an empty part"
    _failed(await commands.resolve(), says, reason=Reason.UNSUPPORTED_FORMAT)
    _ask(commands, store, prefix=folder)
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == Q4


async def test_another_size_than_was_resolved(store: S3Server, commands: Commands) -> None:
    """A volume was made for what was resolved."""
    store.put(BUCKET, "grown/m.gguf", Q4)
    _ask(commands, store, prefix="grown/m.gguf")
    artifact = (await commands.resolve()).outcome.artifact
    store.put(BUCKET, "grown/m.gguf", Q8)
    _failed(await commands.pull(expected=artifact), "changed since it was resolved", str(SIZE))


@pytest.mark.parametrize(
    ("asked", "says", "reason"),
    [
        ({"bucket": "none-here"}, "has no bucket none-here", Reason.PULL_FAILED),
        ({"prefix": "none"}, "no objects: set spec.source.s3.prefix", Reason.PULL_FAILED),
        ({"prefix": "none/m.gguf"}, "has no object none/m.gguf", Reason.PULL_FAILED),
        ({"quantization": "Q2_K"}, "set quantization to one of Q4_K_M, Q8_0", Reason.PULL_FAILED),
        ({"files": ("m-*.gguf",)}, "2 models that fit", Reason.PULL_FAILED),
        ({"ignored": ("*",)}, "no GGUF model among the files that fit", Reason.PULL_FAILED),
        ({"region": "us-east-1"}, f"set spec.source.s3.region to {REGION}", Reason.PULL_FAILED),
        ({"insecure": False}, "set spec.source.s3.insecure", Reason.INVALID_CONFIGURATION),
        ({"prefix": "empty.gguf"}, "is empty: upload it again", Reason.UNSUPPORTED_FORMAT),
    ],
)
async def test_refusals(
    asked: dict[str, object], says: str, reason: Reason, store: S3Server, commands: Commands
) -> None:
    """What cannot be pulled is told in words, with what to change."""
    store.put(BUCKET, "empty.gguf", b"")
    _ask(commands, store, **asked)
    _failed(await commands.resolve(), says, reason=reason)


async def test_wrong_keys(store: S3Server, commands: Commands, tmp_path: Path) -> None:
    """Each wrong one names the Secret and its keys; mending the Secret helps."""
    for prefix in ("tiny", "tiny/m-Q8_0.gguf"):
        _ask(commands, store, prefix=prefix)
        commands.credentials = keys(tmp_path / "secret", key="wrong")
        told = await commands.resolve()
        _failed(told, "the Secret bucket", "AWS_SECRET_ACCESS_KEY", retryable=True)
        assert "SignatureDoesNotMatch" in told.outcome.message
        commands.credentials = keys(tmp_path / "secret", key_id="stranger")
        _failed(await commands.resolve(), "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID")


async def test_nobody_is_told_to_name_a_secret(store: S3Server, commands: Commands) -> None:
    """Without keys and identity nothing is signed, and nobody waits for a metadata service."""
    commands.credentials = None
    _failed(await commands.resolve(), "is not public", "spec.source.credentialsSecret")


async def test_a_secret_without_keys(commands: Commands, tmp_path: Path) -> None:
    """The message tells the command that makes the Secret."""
    (tmp_path / "secret" / "AWS_SECRET_ACCESS_KEY").unlink()
    _failed(
        await commands.resolve(),
        "has no key AWS_SECRET_ACCESS_KEY",
        "kubectl create secret generic bucket --from-literal=AWS_ACCESS_KEY_ID=",
        retryable=True,
    )


async def test_a_bucket_in_one_word(store: S3Server, tmp_path: Path) -> None:
    """`runnerd pull s3://…` takes endpoint, region and keys from the variables of S3's tools."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runnerd", "pull", f"s3://{BUCKET}/tiny/m-Q8_0.gguf"),
        *("--json", "--insecure", "--root", str(tmp_path)),
        env={
            **os.environ,
            "AWS_ENDPOINT_URL": store.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": KEY,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    told = json.loads(answer.splitlines()[-1])
    assert process.returncode == 0, told
    assert told["source"] == f"s3://{BUCKET}/tiny/m-Q8_0.gguf"
    assert told["downloadedBytes"] == len(Q8)
