"""Docker's own code and a catalogue read what the other wrote, and call it by one ID."""

from collections.abc import AsyncIterator
from pathlib import Path

from runnerd.standalone.catalogue.export import export
from runnerd.standalone.catalogue.load import load
from runnerd.standalone.catalogue.package import package_of
from tests.integration.catalogue.conftest import Site
from tests.integration.weights.oci_commands import docker
from tests.support.gguf_files import model
from tests.support.registry_process import RegistryProcess

WEIGHTS = model(300_000)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_archive_of_docker_is_loaded(site: Site, tmp_path: Path) -> None:
    """What docker model package writes becomes a model with Docker's ID."""
    (tmp_path / "model.gguf").write_bytes(WEIGHTS)
    (tmp_path / "template.jinja").write_text("{{ messages }}")
    archive = tmp_path / "model.tar"
    template: list[str | Path] = ["--chat-template", tmp_path / "template.jinja"]
    await docker(tmp_path, "package", "--file", archive, *template, tmp_path / "model.gguf")
    stored = await load(site.catalogue, _pieces(archive.read_bytes()))
    assert stored.weights.read_bytes() == WEIGHTS
    assert stored.chat_template is not None
    await docker(tmp_path, "load", "--tag", "team/model:v1", archive)
    assert stored.identity in await docker(tmp_path, "list")


async def test_archive_of_ours_is_loaded_by_docker(site: Site, tmp_path: Path) -> None:
    """What we export is a model of Docker's store, with the same ID and bytes."""
    stored = site.add("team/model:v1", size=300_000)
    archive = tmp_path / "model.tar"
    pieces = export(package_of(site.catalogue, stored))
    archive.write_bytes(b"".join([piece async for piece in pieces]))
    await docker(tmp_path, "load", "--tag", "team/model:v1", archive)
    bundle = Path((await docker(tmp_path, "bundle", "team/model:v1")).splitlines()[0].strip())
    assert f"sha256:{bundle.name}" == stored.identity
    assert (bundle / "model" / "model.gguf").read_bytes() == WEIGHTS


async def test_docker_pulls_what_we_push(
    site: Site, registry: RegistryProcess, tmp_path: Path
) -> None:
    """A pushed model is pulled by Docker's code under the same ID, and back by us as cached."""
    reference = registry.reference("team/model:v1")
    stored = site.add(reference, size=300_000)
    await site.push(reference)
    await docker(tmp_path, "pull", reference)
    assert stored.identity in await docker(tmp_path, "list")
    (event,) = await site.pull(reference)
    assert event.message.startswith("Using cached model: ")
