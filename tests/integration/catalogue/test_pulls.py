"""Pulls from a real registry into a catalogue."""

import asyncio
from pathlib import Path

import pytest

from modelrunner_protocol.dmr import Kind, Line
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.weights.remote_header import FIRST_HEADER_READ
from runnerd.weights.settings import Settings
from tests.integration.catalogue.conftest import SIZE, Site
from tests.support.gguf_files import model
from tests.support.registry_process import (
    PASSWORD,
    USER,
    RegistryProcess,
    basic_auth,
    docker_config,
    running_registry,
)
from tests.support.token_server import TokenServer

CACHED = Line(kind=Kind.SUCCESS, message="Using cached model: 4.01 MiB")
PULLED = Line(kind=Kind.SUCCESS, message="Model pulled successfully")


async def test_pull(site: Site, other: Site, registry: RegistryProcess) -> None:
    """The layer is told to its end, then success; the model has the digest that was pushed."""
    reference = registry.reference("team/model:v1")
    pushed = other.add(reference)
    await other.push(reference)
    events = await site.pull(reference)
    layer = f"sha256:{pushed.artifact.files[0].sha256}"
    assert events[-1] == PULLED
    assert events[-2] == Line(
        kind=Kind.PROGRESS,
        message="Downloaded: 4.01 MB",
        total=SIZE,
        layer=layer,
        size=SIZE,
        current=SIZE,
    )
    assert {event.layer for event in events[:-1]} == {layer}
    stored = site.catalogue.find(reference)
    assert stored is not None
    assert stored.identity == pushed.identity
    assert stored.tags == (reference,)
    assert stored.weights.read_bytes() == model(SIZE)
    assert site.catalogue.documents(stored) == other.catalogue.documents(pushed)


async def test_cached_model(site: Site, other: Site, registry: RegistryProcess) -> None:
    """What is there is not downloaded again: not by its tag, another tag, or its digest."""
    reference = registry.reference("team/model:v1")
    second = registry.reference("team/model:v2")
    identity = other.add(reference).identity
    await other.push(reference)
    other.catalogue.tag(reference, second)
    await other.push(second)
    await site.pulled(reference)
    before = registry.until_read(FIRST_HEADER_READ + SIZE)
    assert await site.pull(reference) == [CACHED]
    assert await site.pull(second) == [CACHED]
    assert await site.pull(f"{registry.address}/team/model@{identity}") == [CACHED]
    # A manifest each, and nothing else.
    assert registry.bytes_read - before < 3 * 2048
    assert [one.tags for one in site.catalogue.models()] == [(reference, second)]


async def test_deleted_model_is_pulled_again(
    site: Site, other: Site, registry: RegistryProcess
) -> None:
    """What was removed comes back whole."""
    reference = registry.reference("team/model:v1")
    other.add(reference)
    await other.push(reference)
    await site.pulled(reference)
    site.catalogue.remove(reference)
    stored = await site.pulled(reference)
    assert stored.weights.read_bytes() == model(SIZE)


async def test_moved_tag(site: Site, other: Site, registry: RegistryProcess) -> None:
    """A tag that leads elsewhere now is followed; the model it led to stays, without it."""
    reference = registry.reference("team/model:v1")
    old = other.add(reference, seed=1).identity
    await other.push(reference)
    await site.pulled(reference)
    new = other.add(reference, seed=2).identity
    await other.push(reference)
    stored = await site.pulled(reference)
    assert stored.identity == new
    assert {one.identity: one.tags for one in site.catalogue.models()} == {
        old: (),
        new: (reference,),
    }


async def test_pull_by_digest(site: Site, other: Site, registry: RegistryProcess) -> None:
    """A model that is named by its digest gets no tag, and is found by that name."""
    reference = registry.reference("team/model:v1")
    identity = other.add(reference).identity
    await other.push(reference)
    named = f"{registry.address}/team/model@{identity}"
    assert (await site.pull(named))[-1] == PULLED
    stored = site.catalogue.find(named)
    assert stored is not None
    assert (stored.identity, stored.tags) == (identity, ())


async def test_default_registry(tmp_path: Path, other: Site, registry: RegistryProcess) -> None:
    """DEFAULT_REGISTRY is where names without a registry lead to; the tag does not tell it."""
    site = Site(tmp_path / "models", default_registry=registry.address)
    other.add(registry.reference("ai/smollm2:latest"))
    await other.push(registry.reference("ai/smollm2:latest"))
    stored = await site.pulled("SmolLM2")
    assert stored.tags == ("ai/smollm2:latest",)
    assert site.catalogue.find(registry.reference("ai/smollm2")) == stored
    assert await site.pull(registry.reference("ai/smollm2:latest")) == [CACHED]


async def test_mirror(tmp_path: Path, other: Site, registry: RegistryProcess) -> None:
    """A mirror of a registry that cannot be reached has the model."""
    other.add(registry.reference("ai/smollm2:latest"))
    await other.push(registry.reference("ai/smollm2:latest"))
    mirrors = {"unreachable.invalid": (f"http://{registry.address}",)}
    site = Site(tmp_path / "models", settings=Settings(mirrors=mirrors))
    stored = await site.pulled("unreachable.invalid/ai/smollm2")
    assert stored.tags == ("unreachable.invalid/ai/smollm2:latest",)


async def _refused(site: Site, reference: str, token: str = "") -> PullRefusedError:
    with pytest.raises(PullRefusedError) as refused:
        await site.pull(reference, token)
    assert site.catalogue.models() == []
    return refused.value


@pytest.mark.parametrize(
    ("reference", "status", "says"),
    [
        ("", 400, "is no reference"),
        ("UPPER:::bad ref", 400, "is no reference"),
        ("https://example.com/x", 400, "is no reference"),
        ("0123456789ab", 400, "is no reference"),
        ("../../etc/passwd", 400, "is not the name"),
    ],
)
async def test_what_is_no_reference(site: Site, reference: str, status: int, says: str) -> None:
    """Nobody is asked."""
    refused = await _refused(site, reference)
    assert (refused.status, says in str(refused)) == (status, True)


async def test_nothing_there(site: Site, other: Site, registry: RegistryProcess) -> None:
    """No such tag, no such repository, no such registry: each in words before the first event."""
    reference = registry.reference("team/model:v1")
    other.add(reference)
    await other.push(reference)
    for name in ("team/model:none", "team/none:v1", f"team/model@sha256:{'0' * 64}"):
        refused = await _refused(site, registry.reference(name))
        assert refused.status == 404
        assert str(refused).endswith("correct the name")
    hasty = Site(site.root, settings=Settings(resolve_timeout=2.0))
    refused = await _refused(hasty, "127.0.0.1:1/team/model:v1")
    assert (refused.status, "does not answer" in str(refused)) == (500, True)


async def test_registry_that_asks_who_we_are(tmp_path: Path, other: Site) -> None:
    """401 without a login; with each kind of login the model comes, and no secret is told."""
    with running_registry(tmp_path, auth=basic_auth(tmp_path)) as guarded:
        reference = guarded.reference("team/model:v1")
        home = docker_config(tmp_path / "docker", guarded.address)
        other.environment["DOCKER_CONFIG"] = str(home)
        other.add(reference)
        await other.push(reference)
        refused = await _refused(Site(tmp_path / "a"), reference)
        assert refused.status == 401
        assert "docker login" in str(refused)
        refused = await _refused(Site(tmp_path / "b"), reference, token="wrong-and-secret")
        assert refused.status == 401
        assert "secret" not in str(refused)
        login = {"DOCKER_USERNAME": USER, "DOCKER_PASSWORD": PASSWORD}
        # Of the default registry alone: a stranger never sees it.
        assert (await _refused(Site(tmp_path / "c", environment=login), reference)).status == 401
        named = Site(tmp_path / "d", default_registry=guarded.address, environment=login)
        await named.pulled(reference)
        await Site(tmp_path / "e", environment={"DOCKER_CONFIG": str(home)}).pulled(reference)


async def test_bearer_token(tmp_path: Path, other: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The token of a request opens a registry, and is nowhere to be read afterwards."""
    caplog.set_level("DEBUG")
    async with TokenServer(tmp_path).running() as tokens:
        with running_registry(tmp_path, auth=tokens.auth) as ticketed:
            reference = ticketed.reference("team/model:v1")
            config = docker_config(tmp_path / "docker", ticketed.address)
            other.environment["DOCKER_CONFIG"] = str(config)
            other.add(reference)
            await other.push(reference)
            token = tokens.sign(USER, "team/model", ["pull"])
            site = Site(tmp_path / "models")
            assert (await _refused(site, reference)).status == 401
            assert (await _refused(site, reference, token="x y\r\nz")).status == 401
            stored = await site.pulled(reference, token=token)
    texts = [path.read_text() for path in stored.folder.glob(".*.json")]
    texts += [(site.root / "models.json").read_text(), caplog.text]
    assert not [text for text in texts if token in text or PASSWORD in text]


async def test_equal_pulls_are_one_download(
    site: Site, other: Site, registry: RegistryProcess
) -> None:
    """Two references to one artifact, pulled at once: all are told, the bytes come once."""
    names = [registry.reference(f"team/model:v{i}") for i in (1, 2)]
    for name in names:
        other.add(name)
        await other.push(name)
    before = registry.bytes_read
    results = await asyncio.gather(*(site.pull(name) for name in [*names, *names]))
    assert {events[-1].kind for events in results} == {Kind.SUCCESS}
    assert [sorted(one.tags) for one in site.catalogue.models()] == [names]
    # Beside the weights what it takes to find out what they are: up to 2 MiB for each pull.
    assert registry.bytes_read - before < SIZE + 4 * (2 << 20) + 65536
