"""Pushes of a catalogue's models into a real registry."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from modelrunner_protocol.dmr import Kind, Line, Way
from runnerd.standalone.catalogue.refusal import PullRefusedError
from tests.integration.catalogue.conftest import SIZE, Site, reference_to
from tests.support.file_server import FileServer
from tests.support.gguf_files import model
from tests.support.oci_files import CONFIG_V2, GGUF, OciFiles
from tests.support.registry_process import (
    RegistryProcess,
    basic_auth,
    docker_config,
    running_registry,
)


async def test_push(site: Site, registry: RegistryProcess) -> None:
    """The layers are told to their end, then success; the registry has the same digest."""
    reference = registry.reference("team/model:v1")
    stored = site.add("m")
    site.catalogue.tag("m", reference)
    events = await site.push(reference)
    layer = f"sha256:{stored.artifact.files[0].sha256}"
    assert events[-1] == Line(kind=Kind.SUCCESS, message="Model pushed successfully", way=Way.PUSH)
    assert events[-2] == Line(
        kind=Kind.PROGRESS,
        message="Uploaded: 4.01 MB",
        total=SIZE,
        layer=layer,
        size=SIZE,
        current=SIZE,
        way=Way.PUSH,
    )
    assert registry.blob(stored.identity).exists()
    again = await site.push(reference)
    assert [event.kind for event in again] == [Kind.PROGRESS, Kind.SUCCESS]


async def test_what_cannot_be_pushed(site: Site, tmp_path: Path) -> None:
    """An unknown model, a name without a login, a registry that is not there."""
    with pytest.raises(PullRefusedError) as refused:
        await site.push("team/none")
    assert refused.value.status == 404
    with running_registry(tmp_path, auth=basic_auth(tmp_path)) as guarded:
        reference = guarded.reference("team/model:v1")
        identity = site.add(reference).identity
        with pytest.raises(PullRefusedError) as refused:
            await site.push(identity)
        assert refused.value.status == 400
        with pytest.raises(PullRefusedError) as refused:
            await site.push(reference)
        assert (refused.value.status, "docker login" in str(refused.value)) == (401, True)
        config = docker_config(tmp_path / "docker", guarded.address)
        site.environment["DOCKER_CONFIG"] = str(config)
        assert (await site.push(reference))[-1].kind is Kind.SUCCESS
    with pytest.raises(PullRefusedError) as refused:
        await site.push(reference)
    assert refused.value.status == 500


async def test_push_that_is_given_up(site: Site) -> None:
    """When the client leaves, nothing goes on behind its back."""
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as silent:
        name = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}/team/model:v1"
        site.add(name)
        async with aclosing(site.pushes.push(name)) as events:
            task = asyncio.ensure_future(anext(events))
            async with asyncio.timeout(180):
                await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not [one for one in asyncio.all_tasks() if "_upload" in repr(one)]


async def test_model_of_which_layers_were_left_out(site: Site, server: FileServer) -> None:
    """What was not pulled as a whole is not pushed as less than it was."""
    files = OciFiles(
        [
            (GGUF, model(SIZE), "m.gguf"),
            ("application/vnd.docker.ai.model.file", b"# Readme", "README.md"),
        ],
        config_type=CONFIG_V2,
    )
    server.files = files.files()
    await site.pulled(reference_to(server, files))
    with pytest.raises(PullRefusedError, match="layers that no engine here needs") as refused:
        await site.push(reference_to(server, files))
    assert refused.value.status == 422
