"""One volume for several sources and several machines."""

import asyncio
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from modelrunner_protocol.codec import decode, encode
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import Artifact, HttpSource, HuggingFaceSource, Outcome, Source
from tests.integration.weights.commands import PATIENCE, Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import serve
from tests.integration.weights.oci_commands import source as registry
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.hub import Hub
from tests.support.oci_files import GGUF, OciFiles

OTHER = "fedcba9876543210"

# Another machine: its locks tell us nothing, and it has another name for its run.
_ELSEWHERE = """
import fcntl, sys
fcntl.flock = lambda *_: None
from runnerd.weights import lease, partial_state
lease.boot = lambda: "elsewhere"
from runnerd.__main__ import command
sys.argv = ["runnerd", "pull"]
command()
"""


async def _artifact(commands: Commands) -> Artifact:
    resolved = await commands.resolve()
    assert resolved.outcome.artifact is not None, resolved.log
    return resolved.outcome.artifact


def _content(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.name.startswith("sha256-")]


async def test_a_second_source_with_equal_bytes_costs_none(
    server: FileServer, commands: Commands
) -> None:
    """A registry's artifact and a tag of another name: one folder, and no byte of weights."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    first, second = (OciFiles([(GGUF, one, "") for one in parts], name=n) for n in ("a/b", "c/d"))
    serve(server, commands, first)
    server.files |= second.files()
    assert (await commands.pull()).outcome.downloaded_bytes == 2 * SIZE
    commands.key, commands.source = OTHER, registry(f"127.0.0.1:{server.port}/c/d:{second.tag}")
    artifact = await _artifact(commands)
    server.requests.clear()
    ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, 0), ended.log
    assert len(_content(commands.root)) == 1
    assert server.requests == []
    assert ended.outcome.artifact is not None
    assert [
        (commands.folder / file.path).read_bytes() for file in ended.outcome.artifact.files
    ] == parts


async def test_what_is_known_by_its_sha256_is_not_asked_for(
    server: FileServer, commands: Commands
) -> None:
    """An http file whose digest the user gave: the pull of its second URL needs no server at all."""
    commands.sha256 = (await commands.pull()).outcome.artifact.files[0].sha256  # type: ignore[union-attr]  # it was pulled
    server.files["/other/model.gguf"] = model(SIZE)
    commands.url, commands.key = server.url("/other/model.gguf"), OTHER
    artifact = await _artifact(commands)
    server.requests.clear()
    ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, 0), ended.log
    assert server.requests == []


async def test_a_file_is_shared_whatever_it_is_called(
    server: FileServer, commands: Commands
) -> None:
    """A second URL with another file name: its header alone is read, and its pull told the held name.

    What is damaged comes from it, too, and lies under that name again.
    """
    weights = model(SIZE)
    server.files = {"/a/once.gguf": weights, "/b/twice.gguf": weights}
    commands.sha256 = hashlib.sha256(weights).hexdigest()
    commands.url = server.url("/a/once.gguf")
    assert (await commands.pull()).code == 0
    first = commands.folder
    commands.url, commands.key = server.url("/b/twice.gguf"), OTHER
    server.requests.clear()
    artifact = await _artifact(commands)
    assert [file.path for file in artifact.files] == ["twice.gguf"]
    ended = await commands.pull(expected=artifact)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, 0), ended.log
    # More than the header comes of what is as small as this.
    asked = [request.path for request in server.requests]
    assert asked == ["/b/twice.gguf"] * len(asked)
    assert server.sent < SIZE
    _assert_held(commands, ended.outcome.artifact, "once.gguf", weights)
    (first / "once.gguf").write_bytes(b"x" * SIZE)
    found = await (await commands.start("verify")).ended()
    assert (found.code, "once.gguf" in found.outcome.message) == (1, True), found.outcome.message
    again = await commands.pull(expected=artifact)
    assert (again.code, again.outcome.downloaded_bytes) == (0, SIZE), again.log
    _assert_held(commands, again.outcome.artifact, "once.gguf", weights)
    resolved = await commands.resolve()
    assert resolved.outcome.cached
    _assert_held(commands, resolved.outcome.artifact, "once.gguf", weights)
    assert (first / "once.gguf").read_bytes() == weights


def _assert_held(commands: Commands, told: Artifact | None, name: str, weights: bytes) -> None:
    """The artifact leads to the file that there is, and there is one alone."""
    assert told is not None
    assert [file.path for file in told.files] == [name]
    assert (commands.folder / name).read_bytes() == weights
    assert sorted(
        path.name for path in commands.folder.iterdir() if not path.name.startswith(".")
    ) == sorted(["manifest.json", name])
    assert len(_content(commands.root)) == 1


async def test_what_is_equal_only_after_a_pull_is_shared_then(
    server: FileServer, commands: Commands
) -> None:
    """Nobody told the sha256 before: the bytes come, and those that lie there stay."""
    weights = model(SIZE)
    server.files = {"/a/once.gguf": weights, "/b/twice.gguf": weights}
    for path, commands.key in (("/a/once.gguf", OTHER), ("/b/twice.gguf", "0123456789abcdef")):
        commands.url = server.url(path)
        ended = await commands.pull()
        assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE), ended.log
        _assert_held(commands, ended.outcome.artifact, "once.gguf", weights)


async def test_the_hub_and_a_registry_share(server: FileServer, commands: Commands) -> None:
    """A URL's file is the one model of a repository of the Hub, and of a registry: no byte comes."""
    weights = model(SIZE)
    oci = OciFiles([(GGUF, weights, "")])
    server.files = {"/a/once.gguf": weights, **oci.files()}
    commands.url = server.url("/a/once.gguf")
    assert (await commands.pull()).code == 0
    registered = registry(f"127.0.0.1:{server.port}/{oci.name}:{oci.tag}")
    async with Hub(server).running() as hub:
        hub.put("acme/tiny-GGUF", {"tiny-Q4_K_M.gguf": weights})
        commands.environment["HF_ENDPOINT"] = hub.url
        listed = Source(hugging_face=HuggingFaceSource(repository="acme/tiny-GGUF"))
        for commands.source, commands.key in ((registered, "registry"), (listed, "hub")):
            artifact = await _artifact(commands)
            server.requests.clear()
            ended = await commands.pull(expected=artifact)
            assert (ended.code, ended.outcome.downloaded_bytes) == (0, 0), ended.log
            assert server.requests == []
            _assert_held(commands, ended.outcome.artifact, "once.gguf", weights)
            assert ended.outcome.artifact is not None
            told = (ended.outcome.artifact.digest, ended.outcome.artifact.revision)
            assert told == (artifact.digest, artifact.revision)


async def test_damage_is_mended_for_all(server: FileServer, commands: Commands) -> None:
    """One source's pull mends what it shares; the good file is not touched, the other source whole."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    first, second = (OciFiles([(GGUF, one, "") for one in parts], name=n) for n in ("a/b", "c/d"))
    serve(server, commands, first)
    server.files |= second.files()
    assert (await commands.pull()).code == 0
    folder = commands.folder
    commands.key, commands.source = OTHER, registry(f"127.0.0.1:{server.port}/c/d:{second.tag}")
    assert (await commands.pull()).code == 0
    good, bad = (folder / f"model-0000{i}-of-00002.gguf" for i in (1, 2))
    kept = good.stat()
    bad.write_bytes(b"x" * SIZE)
    found = await (await commands.start("verify")).ended()
    assert (found.code, "set apart" in found.outcome.message) == (1, True), found.outcome.message
    assert "model-00002-of-00002.gguf" in found.outcome.message
    ended = await commands.pull()
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE), ended.log
    assert bad.read_bytes() == parts[1]
    assert (good.stat().st_ino, good.stat().st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    for key in (commands.key, folder.name):
        commands.key = key
        sound = await (await commands.start("verify")).ended()
        assert sound.code == 0, sound.outcome.message


async def test_two_machines_never_write_one_file_at_once(
    server: FileServer, commands: Commands, tmp_path: Path
) -> None:
    """The second waits for the lease of the first, whose lock it cannot see; each byte comes once."""
    server.by_path["/model.gguf"] = Fault(hang_after=MIB)
    config = encode(commands.config(SIZE))
    first = await commands.start("pull", expected=SIZE)
    await commands.held(MIB)
    lease = commands.root / f"{commands.key}.lease"
    assert json.loads(lease.read_text())["holder"]
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ELSEWHERE),
        env={**os.environ, "RUNNERD_PULL": config, "TERMINATION_LOG": str(tmp_path / "second")},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert second.stderr is not None
    log = b""
    async with asyncio.timeout(PATIENCE):
        while b"waiting for it" not in log:
            more = await second.stderr.readline()
            assert more, log.decode()
            log += more
    server.by_path.clear()
    server.release.set()
    _, rest = await asyncio.wait_for(second.communicate(), PATIENCE)
    log += rest
    ended = await first.ended()
    assert (ended.code, second.returncode) == (0, 0), ended.log + log.decode()
    assert decode(Outcome, (tmp_path / "second").read_text()).downloaded_bytes == 0
    assert ended.outcome.downloaded_bytes == SIZE
    assert not lease.exists()


@pytest.mark.parametrize("arguments", [["-rL"], ["-r"], ["-a"]])
async def test_a_copied_cache_is_a_cache(
    arguments: list[str], commands: Commands, tmp_path: Path
) -> None:
    """One key's folder with its links followed, or all of the volume: both are found whole."""
    assert (await commands.pull()).code == 0
    whole = tmp_path / "copy"
    if arguments == ["-rL"]:
        whole.mkdir()
    source = commands.folder if arguments == ["-rL"] else commands.root
    copying = await asyncio.create_subprocess_exec("cp", *arguments, str(source), str(whole))
    assert await copying.wait() == 0
    shutil.rmtree(commands.root)
    commands.root, commands.url = whole, "http://127.0.0.1:9/model.gguf"
    resolved = await commands.resolve()
    assert (resolved.code, resolved.outcome.cached) == (0, True), resolved.log
    assert (await commands.pull()).code == 0
    assert (commands.folder / "model.gguf").read_bytes() == model(SIZE)


async def test_the_key_of_a_source_is_its_own(commands: Commands) -> None:
    """What is whole under one key is no answer for another."""
    assert (await commands.pull()).code == 0
    commands.key = artifact_key(Source(http=HttpSource(url="https://other/model.gguf")))
    assert not (await commands.resolve()).outcome.cached
