"""Pulls that wait, are given up, or meet a registry that does wrong."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from modelrunner_protocol.dmr import Kind, Line
from runnerd.standalone.catalogue.fetch import WAITING
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.weights.settings import Settings
from tests.integration.catalogue.conftest import FILES, MIB, PATIENCE, SIZE, Site, reference_to
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import GGUF, OciFiles, descriptor, digest

WEIGHTS = FILES.layers[0][1]
BLOB = FILES.path(WEIGHTS)
# Behind what is read to find out what the model is.
HELD = 3 * MIB


async def _until(events: AsyncGenerator[Line, None], current: int) -> None:
    """Wait until so much of a layer is there."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event.current >= current:
                return


def _hang(server: FileServer) -> None:
    server.by_path[BLOB] = Fault(hang_after=HELD)


def _cut(server: FileServer, then: Fault) -> None:
    """End what hangs, which is asked for again, and is answered so."""
    server.by_path[BLOB] = then
    server.release.set()


async def _gone_on(site: Site, server: FileServer) -> None:
    """A second pull fetches what is missing, and no more."""
    server.by_path.clear()
    before = server.sent
    stored = await site.pulled(reference_to(server))
    assert stored.weights.read_bytes() == WEIGHTS
    # What is missing, and what it takes to find out what it is: less than all of it.
    assert server.sent - before < SIZE


async def test_pull_that_is_given_up(site: Site, server: FileServer) -> None:
    """When the only watcher leaves, the download ends; the next pull goes on from there."""
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, HELD)
    assert site.catalogue.models() == []
    await _gone_on(site, server)


async def test_pull_whose_client_is_cancelled(site: Site, server: FileServer) -> None:
    """The same when the task of the watcher is cancelled, as aiohttp does it."""
    _hang(server)
    there = asyncio.Event()

    async def watch() -> None:
        async for event in site.pulls.pull(reference_to(server)):
            if event.current >= HELD:
                there.set()

    task = asyncio.create_task(watch())
    async with asyncio.timeout(PATIENCE):
        await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone_on(site, server)


async def test_one_of_two_leaves(site: Site, server: FileServer) -> None:
    """A download that is still watched goes on, whoever began it."""
    _hang(server)
    reference = reference_to(server)
    async with aclosing(site.pulls.pull(reference)) as first:
        await _until(first, HELD)
        second = asyncio.create_task(site.pull(reference))
        async with asyncio.timeout(PATIENCE):
            while site.pulls.watchers(digest(FILES.manifest_bytes)) < 2:  # noqa: ASYNC110 - a count
                await asyncio.sleep(0.01)
    assert not second.done()
    server.by_path.clear()
    server.release.set()
    assert (await second)[-1].kind is Kind.SUCCESS


async def test_server_that_stops(site: Site, server: FileServer) -> None:
    """Whoever watches is told, in words, and nothing that has come is lost."""
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, HELD)
        await site.pulls.close()
        rest = [event async for event in events]
    assert rest[-1].kind is Kind.ERROR
    assert "what has come is kept" in rest[-1].message
    await _gone_on(site, server)


async def test_third_download_waits(site: Site, server: FileServer) -> None:
    """Two downloads at once; a third says that it waits, and begins when one is done."""
    models = [OciFiles([(GGUF, model(SIZE, seed=i), "")], name=f"team/m{i}") for i in range(3)]
    for files in models:
        server.files |= files.files()
        server.by_path[files.path(files.layers[0][1])] = Fault(hang_after=HELD)
    async with (
        aclosing(site.pulls.pull(reference_to(server, models[0]))) as first,
        aclosing(site.pulls.pull(reference_to(server, models[1]))) as second,
        aclosing(site.pulls.pull(reference_to(server, models[2]))) as third,
    ):
        await _until(first, HELD)
        await _until(second, HELD)
        assert (await anext(third)).message == WAITING
        server.by_path.clear()
        server.release.set()
        assert [event async for event in third][-1].kind is Kind.SUCCESS


async def test_cached_model_waits_for_nobody(site: Site, server: FileServer) -> None:
    """What is there is told while downloads fill all places; so is what is nowhere."""
    await site.pulled(reference_to(server))
    slow = [OciFiles([(GGUF, model(SIZE, seed=i), "")], name=f"team/m{i}") for i in (2, 3)]
    for files in slow:
        server.files |= files.files()
        server.by_path[files.path(files.layers[0][1])] = Fault(hang_after=HELD)
    async with (
        aclosing(site.pulls.pull(reference_to(server, slow[0]))) as first,
        aclosing(site.pulls.pull(reference_to(server, slow[1]))) as second,
    ):
        await _until(first, HELD)
        await _until(second, HELD)
        (cached,) = await site.pull(reference_to(server))
        assert cached.message.startswith("Using cached model: ")
        with pytest.raises(PullRefusedError) as refused:
            await site.pull(f"127.0.0.1:{server.port}/team/none:v1")
        assert refused.value.status == 404


async def test_wrong_digest(site: Site, server: FileServer) -> None:
    """Bytes that are not those of the digest are an error in words, and never a model."""
    server.files[BLOB] = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    # Longer than the moment in which a failure is a refusal still.
    server.by_path[BLOB] = Fault(pace=8 * MIB)
    events = await site.pull(reference_to(server))
    assert events[-1].kind is Kind.ERROR
    assert "damaged" in events[-1].message
    assert site.catalogue.models() == []
    server.files[BLOB] = WEIGHTS
    assert (await site.pulled(reference_to(server))).weights.read_bytes() == WEIGHTS


async def test_layer_that_is_lost(site: Site, server: FileServer) -> None:
    """A layer that goes away in the middle is an error event with what to do."""
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, MIB)
        _cut(server, Fault(status=404))
        rest = [event async for event in events]
    assert rest[-1].kind is Kind.ERROR
    assert "push the artifact again" in rest[-1].message


async def test_registry_that_is_busy(site: Site, server: FileServer) -> None:
    """A registry that pauses is waited for, and a warning tells why nothing moves."""
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, MIB)
        _cut(server, Fault(status=503))
        warning = await anext(events)
        while warning.kind is not Kind.WARNING or "503" not in warning.message:
            warning = await anext(events)
        server.by_path.clear()
        assert [event async for event in events][-1].kind is Kind.SUCCESS


async def test_tag_that_moves_in_the_middle(site: Site, server: FileServer) -> None:
    """What was asked for at the beginning is what comes, whatever the tag has become."""
    moved = OciFiles([(GGUF, model(SIZE, seed=2), "")])
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, HELD)
        server.files[FILES.tag_path] = moved.manifest_bytes
        server.by_path.clear()
        server.release.set()
        assert [event async for event in events][-1].kind is Kind.SUCCESS
    (stored,) = site.catalogue.models()
    assert stored.weights.read_bytes() == WEIGHTS


async def test_model_that_is_purged_in_the_middle(site: Site, server: FileServer) -> None:
    """A download at work survives a purge: its pull ends with a model."""
    _hang(server)
    async with aclosing(site.pulls.pull(reference_to(server))) as events:
        await _until(events, HELD)
        await asyncio.to_thread(site.catalogue.purge)
        server.by_path.clear()
        server.release.set()
        assert [event async for event in events][-1].kind is Kind.SUCCESS
    assert len(site.catalogue.models()) == 1


IMAGE = "application/vnd.oci.image.config.v1+json"
HOSTILE: dict[str, Any] = {"annotations": {"org.cncf.model.filepath": "../../etc/passwd"}}
REFUSED = {
    "a container image": OciFiles([(GGUF, WEIGHTS, "")], config_type=IMAGE),
    "a newer config": OciFiles(
        [(GGUF, WEIGHTS, "")], config_type="application/vnd.docker.ai.model.config.v9+json"
    ),
    "no GGUF": OciFiles([(GGUF, b"<html>" * 100, "")]),
    "a part": OciFiles([(GGUF, model(SIZE, {**MODEL, "split.no": 0, "split.count": 2}), "")]),
    "safetensors": OciFiles([("application/vnd.docker.ai.safetensors", b"x", "")]),
    "a hostile path": OciFiles([], manifest={"layers": [descriptor(GGUF, WEIGHTS) | HOSTILE]}),
    "an unknown layer": OciFiles([("application/unknown", b"x", ""), (GGUF, WEIGHTS, "")]),
    "no JSON": OciFiles([(GGUF, WEIGHTS, "")], config=b"["),
}


@pytest.mark.parametrize("files", REFUSED.values(), ids=REFUSED)
async def test_what_no_engine_can_run(site: Site, server: FileServer, files: OciFiles) -> None:
    """422 before the first event, and nothing on the disk."""
    server.files = files.files()
    with pytest.raises(PullRefusedError) as refused:
        await site.pull(reference_to(server, files))
    assert refused.value.status == 422
    assert {path.name for path in site.root.iterdir()} <= {"models.lock"}


async def test_registry_that_never_answers_right(tmp_path: Path, server: FileServer) -> None:
    """503 for ever is a refusal, after as long as one is willing to wait."""
    server.always = Fault(status=503)
    site = Site(tmp_path / "models", settings=Settings(resolve_timeout=2.0))
    with pytest.raises(PullRefusedError, match="503") as refused:
        await site.pull(reference_to(server))
    assert refused.value.status == 500
