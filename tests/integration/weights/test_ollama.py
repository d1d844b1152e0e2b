"""Artifacts in Ollama's layout, in a real registry under any name."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modelrunner_protocol.wire import FileKind
from tests.integration.weights.commands import Commands
from tests.integration.weights.oci_commands import refused, source
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import OciFiles, digest
from tests.support.registry_process import RegistryProcess, running_registry

SIZE = 65536
WEIGHTS = model(SIZE)
PROJECTOR = model(4096, {**MODEL, "general.type": "mmproj", "general.architecture": "clip"})
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.ollama.image."
TOLD = {"model_format": "gguf", "model_family": "llama", "model_type": "1M", "file_type": "Q4_0"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """An open registry."""
    with running_registry(tmp_path) as running:
        yield running


def _files(*layers: tuple[str, bytes], config: str = CONFIG) -> OciFiles:
    return OciFiles(
        [(f"{LAYER}{kind}", content, "") for kind, content in layers],
        config=TOLD,
        config_type=config,
        manifest={"mediaType": MANIFEST},
        name="library/smollm2",
        tag="135m",
    )


def _push(registry: RegistryProcess, commands: Commands, files: OciFiles) -> None:
    """Put it there as Ollama does, and let the commands be about it."""
    base = f"http://{registry.address}/v2/{files.name}"
    with httpx.Client(trust_env=False, timeout=60) as client:
        for data in (files.config_bytes, *(content for _, content, _ in files.layers)):
            place = client.post(f"{base}/blobs/uploads/").headers["Location"]
            target = httpx.URL(base).join(place).copy_merge_params({"digest": digest(data)})
            assert client.put(target, content=data).status_code == 201
        done = client.put(
            f"{base}/manifests/{files.tag}",
            content=files.manifest_bytes,
            headers={"Content-Type": MANIFEST},
        )
        assert done.status_code == 201, done.text
    commands.source = source(registry.reference(f"{files.name}:{files.tag}"))


async def test_model_projector_and_licenses(registry: RegistryProcess, commands: Commands) -> None:
    """They are used; the template in Go's language, the parameters and the rest stay where they are."""
    layers = [
        ("model", WEIGHTS),
        ("projector", PROJECTOR),
        ("template", b"{{ .Prompt }}"),
        ("license", b"MIT"),
        ("license", b"Apache"),
        ("params", json.dumps({"stop": ["x"]}).encode()),
        ("system", b"You are kind."),
        ("messages", b"[]"),
    ]
    files = _files(*layers)
    _push(registry, commands, files)
    found = (await commands.resolve()).outcome.artifact
    assert found is not None
    assert (found.format, found.architecture, found.quantization) == ("gguf", "llama", "Q4_1")
    assert found.digest == digest(files.manifest_bytes)
    assert [(file.path, file.kind) for file in found.files] == [
        ("model.gguf", FileKind.WEIGHTS),
        ("model.mmproj", FileKind.PROJECTOR),
        ("LICENSE", FileKind.LICENSE),
        ("LICENSE-2", FileKind.LICENSE),
    ]
    ended = await commands.pull(expected=found)
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS
    assert (commands.folder / "model.mmproj").read_bytes() == PROJECTOR
    assert (commands.folder / "LICENSE-2").read_bytes() == b"Apache"
    assert not (commands.folder / "template.jinja").exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (_files(("model", WEIGHTS), ("adapter", b"x")), "holds a LoRA adapter"),
        (_files(("tensor", b"x")), "single tensors for Ollama's own engine"),
        (_files(("model", b"\x89PNG" * 99)), "is not a GGUF file"),
        (_files(("license", b"MIT")), "holds no model"),
        (_files(("model", WEIGHTS), ("surprise", b"x")), f"unknown media type {LAYER}surprise"),
        (
            OciFiles(
                [("application/vnd.docker.image.rootfs.diff.tar.gzip", WEIGHTS, "")],
                config_type=CONFIG,
                manifest={"mediaType": MANIFEST},
            ),
            "is a container image",
        ),
    ],
    ids=["adapter", "tensors", "no GGUF", "no model", "unknown layer", "container image"],
)
async def test_what_is_refused(
    files: OciFiles, says: str, registry: RegistryProcess, commands: Commands
) -> None:
    """An adapter would make it another model; a container image has no layer of Ollama's."""
    _push(registry, commands, files)
    refused(await commands.resolve(), says)
