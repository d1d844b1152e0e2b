"""Pulls from a Hub of the loopback into a catalogue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelrunner_protocol.dmr import Kind
from runnerd.standalone.catalogue.refusal import PullRefusedError
from tests.integration.catalogue.conftest import SIZE, Site
from tests.support.file_server import FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.hub import Hub
from tests.support.registry_process import RegistryProcess

NAME = "Acme/Tiny-GGUF"
Q4, Q8 = model(SIZE), model(SIZE + 4096, seed=2)
PROJECTOR = model(4096, {"general.architecture": "clip", "general.type": "mmproj"})


@pytest.fixture
async def hub(server: FileServer, site: Site) -> AsyncIterator[Hub]:
    """A Hub with one repository, which the site asks."""
    server.files = {}
    async with Hub(server).running() as hub:
        site.environment["HF_ENDPOINT"] = hub.url
        hub.put(
            NAME,
            {"t-Q4_K_M.gguf": Q4, "t-Q8_0.gguf": Q8, "mmproj-F16.gguf": PROJECTOR, "a.md": b"#"},
        )
        yield hub


async def test_usual_quantization(site: Site, hub: Hub) -> None:
    """Without a tag the usual one comes, with its projector, under Docker Model Runner's tag."""
    stored = await site.pulled(f"hf.co/{NAME}")
    assert stored.tags == ("huggingface.co/acme/tiny-gguf:latest",)
    assert stored.weights.read_bytes() == Q4
    assert stored.projector is not None
    assert stored.projector.read_bytes() == PROJECTOR
    assert stored.artifact.digest == stored.identity
    for name in (f"hf.co/{NAME}", f"huggingface.co/{NAME}:latest", stored.identity[7:19]):
        assert site.catalogue.find(name) == stored


async def test_cached_model(site: Site, hub: Hub) -> None:
    """What is there is not read again, under whichever tag; another quantization is another model."""
    await site.pulled(f"hf.co/{NAME}")
    before = hub.store.sent
    for name in (f"hf.co/{NAME}", f"huggingface.co/{NAME}:Q4_K_M"):
        (event,) = await site.pull(name)
        assert event.message.startswith("Using cached model: ")
    assert hub.store.sent == before
    other = await site.pulled(f"hf.co/{NAME}:Q8_0")
    assert other.weights.read_bytes() == Q8
    assert len(site.catalogue.models()) == 2


async def test_repository_that_changes(site: Site, hub: Hub) -> None:
    """A new commit with other bytes is a new model, which takes the tag."""
    old = await site.pulled(f"hf.co/{NAME}")
    hub.put(NAME, {"t-Q4_K_M.gguf": Q8})
    new = await site.pulled(f"hf.co/{NAME}")
    assert new.weights.read_bytes() == Q8
    left = site.catalogue.find(old.identity)
    assert left is not None
    assert left.tags == ()


async def test_parts_of_a_model(site: Site, hub: Hub) -> None:
    """All shards come, in their order."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    hub.put(NAME, {f"t-Q4_K_M-0000{i + 1}-of-00002.gguf": part for i, part in enumerate(parts)})
    events = await site.pull(f"hf.co/{NAME}")
    assert events[-1].kind is Kind.SUCCESS
    (stored,) = site.catalogue.models()
    assert [(stored.folder / file.path).read_bytes() for file in stored.artifact.files] == parts


async def test_who_may_read(site: Site, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """A private repository: 401 for strangers, with the request's token or HF_TOKEN it comes."""
    caplog.set_level("DEBUG")
    hub.put("acme/private", {"t-Q4_K_M.gguf": Q4}, token="hf_sesame")
    with pytest.raises(PullRefusedError, match="HF_TOKEN") as refused:
        await site.pull("hf.co/acme/private")
    assert refused.value.status == 401
    await site.pulled("hf.co/acme/private", token="hf_sesame")
    site.catalogue.purge()
    site.environment["HF_TOKEN"] = "hf_sesame"
    await site.pulled("hf.co/acme/private")
    assert "hf_sesame" not in caplog.text


async def test_what_is_not_there(site: Site, hub: Hub) -> None:
    """No repository, no such quantization, no name: each in words."""
    cases = {
        "hf.co/acme/none": 401,
        "hf.co/acme": 400,
        f"hf.co/{NAME}@sha256:{'0' * 64}": 400,
    }
    for name, status in cases.items():
        with pytest.raises(PullRefusedError) as refused:
            await site.pull(name)
        assert (name, refused.value.status) == (name, status)
    with pytest.raises(PullRefusedError, match="one of Q4_K_M, Q8_0") as refused:
        await site.pull(f"hf.co/{NAME}:Q2_K")
    assert refused.value.status == 404
    # Whoever has a token is told that there is nothing.
    with pytest.raises(PullRefusedError) as refused:
        await site.pull("hf.co/acme/none", token="hf_x")
    assert refused.value.status == 404


async def test_a_registry_takes_it(
    site: Site, hub: Hub, registry: RegistryProcess, tmp_path: Path
) -> None:
    """A model of the Hub is pushed to a registry under another tag, and pulled from there."""
    stored = await site.pulled(f"hf.co/{NAME}")
    with pytest.raises(PullRefusedError) as refused:
        await site.push(f"hf.co/{NAME}")
    assert refused.value.status == 400
    reference = registry.reference("team/tiny:v1")
    site.catalogue.tag(stored.identity, reference)
    assert (await site.push(reference))[-1].kind is Kind.SUCCESS
    again = await Site(tmp_path / "again").pulled(reference)
    assert (again.identity, again.artifact.files) == (stored.identity, stored.artifact.files)
