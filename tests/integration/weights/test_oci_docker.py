"""Docker's own code reads what `runnerd package` makes, and makes what `runnerd pull` reads."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.weights.commands import Commands
from tests.integration.weights.oci_commands import docker, package, source
from tests.support.gguf_files import MODEL, model
from tests.support.registry_process import RegistryProcess, running_registry

WEIGHTS = model(300_000)
PARTS = [model(65536, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model, a model in two parts, and what belongs to one."""
    (tmp_path / "model.gguf").write_bytes(WEIGHTS)
    for i, part in enumerate(PARTS):
        (tmp_path / f"part-0000{i + 1}-of-00002.gguf").write_bytes(part)
    (tmp_path / "template.jinja").write_text("{{ messages }}")
    (tmp_path / "LICENSE").write_text("MIT")
    return tmp_path


@pytest.fixture
def registry(folder: Path) -> Iterator[RegistryProcess]:
    """An open registry."""
    with running_registry(folder) as running:
        yield running


async def test_docker_reads_what_we_package(folder: Path, registry: RegistryProcess) -> None:
    """Docker's store calls our artifact by our digest, and unpacks the same bytes."""
    reference = registry.reference("ours/model:v1")
    beside: list[str | Path] = [
        "--chat-template",
        folder / "template.jinja",
        "--license",
        folder / "LICENSE",
    ]
    target = ["--push", reference, "--insecure"]
    code, answer, log = await package(folder, folder / "model.gguf", *beside, *target)
    assert code == 0, log
    await docker(folder, "pull", reference)
    bundle = Path((await docker(folder, "bundle", reference)).splitlines()[0].strip())
    assert f"sha256:{bundle.name}" == json.loads(answer)["digest"]
    assert (bundle / "model" / "model.gguf").read_bytes() == WEIGHTS
    assert (bundle / "model" / "template.jinja").read_text() == "{{ messages }}"
    config = json.loads((bundle / "config.json").read_text())
    assert (config["format"], config["architecture"]) == ("gguf", "llama")


async def test_docker_reads_our_parts(folder: Path, registry: RegistryProcess) -> None:
    """A model in parts has them in order on the other side."""
    reference = registry.reference("ours/parts:v1")
    files = [folder / f"part-0000{i}-of-00002.gguf" for i in (1, 2)]
    code, _, log = await package(folder, *files, "--push", reference, "--insecure")
    assert code == 0, log
    await docker(folder, "pull", reference)
    bundle = Path((await docker(folder, "bundle", reference)).splitlines()[0].strip())
    for i, part in enumerate(PARTS):
        found = bundle / "model" / f"model-0000{i + 1}-of-00002.gguf"
        assert found.read_bytes() == part


async def test_we_read_what_docker_packages(
    folder: Path, registry: RegistryProcess, commands: Commands
) -> None:
    """Docker's packages, whole and in parts, are resolved, pulled and called as Docker does."""
    whole, parts = registry.reference("theirs/model:v1"), registry.reference("theirs/parts:v1")
    beside: list[str | Path] = [
        "--licenses",
        folder / "LICENSE",
        "--chat-template",
        folder / "template.jinja",
    ]
    await docker(folder, "package", "--tag", whole, *beside, folder / "model.gguf")
    await docker(folder, "package", "--tag", parts, folder / "part-00001-of-00002.gguf")
    expected = {
        whole: {"model.gguf": WEIGHTS, "template.jinja": b"{{ messages }}", "LICENSE": b"MIT"},
        parts: {f"model-0000{i + 1}-of-00002.gguf": part for i, part in enumerate(PARTS)},
    }
    for number, (reference, files) in enumerate(expected.items()):
        commands.key, commands.source = f"artifact{number}", source(reference)
        ended = await commands.pull()
        assert ended.code == 0, ended.outcome.message
        for name, content in files.items():
            assert (commands.folder / name).read_bytes() == content
        await docker(folder, "pull", reference)
        assert ended.outcome.artifact is not None
        assert ended.outcome.artifact.digest in await docker(folder, "list")
