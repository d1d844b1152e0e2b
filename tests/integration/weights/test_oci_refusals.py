"""Artifacts that nobody should run: told before a byte of their weights is fetched."""

import gzip
import json
from typing import Any

import pytest

from tests.integration.weights.commands import Commands
from tests.integration.weights.oci_commands import failed, refused, serve
from tests.support.file_server import FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import CONFIG_CNCF, GGUF, INDEX, OciFiles

WEIGHTS = model(65536)
CNCF = "application/vnd.cncf.model"


def _one(kind: str = GGUF, path: str = "", **more: Any) -> OciFiles:
    return OciFiles([(kind, WEIGHTS, path)], **more)


def _size(size: Any) -> OciFiles:
    return _one(extra={"size": size})


def _metadata(text: str) -> OciFiles:
    return _one(extra={"annotations": {"org.cncf.model.file.metadata+json": text}})


REFUSED: dict[str, tuple[OciFiles, str]] = {
    "a container image": (
        _one(config_type="application/vnd.oci.image.config.v1+json"),
        "is a container image",
    ),
    "another kind of artifact": (
        _one(config_type="application/vnd.cncf.helm.config.v1+json"),
        "is no model that is known here",
    ),
    "a config of tomorrow": (
        _one(config_type="application/vnd.docker.ai.model.config.v9+json"),
        "v9+json",
    ),
    "raw weights of no known format": (
        _one(f"{CNCF}.weight.v1.raw", "m.onnx", config_type=CONFIG_CNCF),
        "in the format 'onnx'",
    ),
    "weights in an archive": (
        _one(f"{CNCF}.weight.v1.tar", config_type=CONFIG_CNCF),
        "weights in a tar archive",
    ),
    "an adapter": (_one("application/vnd.docker.ai.gguf.v3.lora"), "a LoRA adapter"),
    "an unknown layer": (
        OciFiles([(GGUF, WEIGHTS, ""), ("application/x-surprise", b"x", "")]),
        "unknown media type application/x-surprise",
    ),
    "an unknown layer that writes to terminals": (
        OciFiles([(GGUF, WEIGHTS, ""), ("x/y\n\x1b[31m\u202e\ud800", b"x", "")]),
        r"unknown media type x/y\n\x1b[31m\u202e\ud800: a newer",
    ),
    "two models without names": (OciFiles([(GGUF, WEIGHTS, "")] * 2), "holds 2 models"),
    "no layers": (OciFiles([]), "none of its layers is a GGUF file or a safetensors file"),
    "two models": (OciFiles([(GGUF, WEIGHTS, "a.gguf"), (GGUF, WEIGHTS, "b.gguf")]), "2 models"),
    "a part alone": (
        OciFiles([(GGUF, WEIGHTS, "m-00001-of-00002.gguf")] * 2),
        "holds 2 of the 2 parts",
    ),
    "a part alone, as its header says": (
        OciFiles([(GGUF, model(65536, {**MODEL, "split.no": 0, "split.count": 3}), "")]),
        "holds 1 of the 3 parts",
    ),
    "a path upwards": (_one(path="../../etc/passwd"), "leads out of its folder"),
    "a path upwards inside": (_one(path="a/../../b.gguf"), "leads out of its folder"),
    "an absolute path": (_one(path="/models/m.gguf"), "leads out of its folder"),
    "a path of Windows": (_one(path="..\\m.gguf"), "leads out of its folder"),
    "a path with a NUL": (_one(path="m\0.gguf"), "leads out of its folder"),
    "a symbolic link": (_metadata('{"typeflag": 50, "name": "m"}'), "a link or a device"),
    "a digest of another kind": (_one(extra={"digest": "sha512:" + "a" * 128}), "not a sha256"),
    "a digest that is a path": (_one(extra={"digest": "sha256:../../x"}), "not a sha256"),
    "a negative size": (_size(-1), "a layer of -1 bytes"),
    "an absurd size": (_size(1 << 60), "bytes"),
    "a size that is none": (_size("1"), "a layer of '1' bytes"),
    "sizes absurd together": (
        OciFiles([(GGUF, WEIGHTS, "")] * 20, extra={"size": 1 << 40}),
        "more than 16 TiB",
    ),
    "too many layers": (_one(manifest={"layers": [{}] * 1001}), "1001 entries"),
    "layers that are none": (_one(manifest={"layers": "x"}), "no list"),
    "a layer that is none": (_one(manifest={"layers": ["x"]}), "without type or digest"),
    "no config": (_one(manifest={"config": None}), "without type or digest"),
    "an old manifest": (_one(manifest={"schemaVersion": 1}), "schema version 1"),
    "a config that is not JSON": (_one(config=b"{"), "the config of"),
    "a config of nested lists": (_one(config=b"[" * 200_000), "the config of"),
    "a config that is compressed": (_one(config=gzip.compress(b"{}", mtime=0)), "is not JSON"),
    "a config of very many lists": (_one(config=b"[" + b"[]," * 1_100_000), "more values than"),
    "a config with a name twice": (_one(config=b'{"a":1,"a":2}'), "has a name twice"),
    "a size beyond all numbers": (_size(1 << 64), "bytes"),
    "a config that is a list": (_one(config=b"[]"), "is not a JSON object"),
    "a projector for a model": (
        OciFiles([(GGUF, model(65536, {**MODEL, "general.type": "mmproj"}), "")]),
        "multimodal projector",
    ),
    "no GGUF at all": (OciFiles([(GGUF, b"<html>" * 999, "")]), "is not a GGUF file"),
    "an index of nothing": (
        _one(manifest={"mediaType": INDEX, "manifests": []}),
        "an index that names no artifact",
    ),
}


@pytest.mark.parametrize(("files", "says"), REFUSED.values(), ids=REFUSED)
async def test_refused_artifacts(
    files: OciFiles, says: str, server: FileServer, commands: Commands
) -> None:
    """Each is UnsupportedFormat in words; of the weights at most the header was read."""
    serve(server, commands, files)
    refused(await commands.resolve(), says)
    assert list(commands.root.iterdir()) == []


@pytest.mark.parametrize("kind", ["manifest", "config"])
async def test_endless_documents(kind: str, server: FileServer, commands: Commands) -> None:
    """A manifest or config that does not end is not read to its end."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    path = files.tag_path if kind == "manifest" else files.path(files.config_bytes)
    server.files[path] = b" " * (64 << 20)
    failed(await commands.resolve(), "no model has such a manifest or config")
    assert server.sent < 32 << 20


async def test_config_bomb(server: FileServer, commands: Commands) -> None:
    """A config that is announced as huge is not asked for."""
    files = OciFiles([(GGUF, WEIGHTS, "")], config=b" " * (5 << 20))
    serve(server, commands, files)
    refused(await commands.resolve(), "has a config of 5242880 bytes")
    assert [request.path for request in server.requests] == [files.tag_path]


async def test_template_that_is_too_large(server: FileServer, commands: Commands) -> None:
    """A chat template of megabytes cannot be right."""
    layer = ("application/vnd.docker.ai.chat.template.jinja", b"x" * (2 << 20), "")
    serve(server, commands, OciFiles([(GGUF, WEIGHTS, ""), layer]))
    refused(await commands.resolve(), "template.jinja of more than 1.00 MiB")


async def test_manifest_that_is_no_json(server: FileServer, commands: Commands) -> None:
    """A page in the place of the manifest is told."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    server.files[files.tag_path] = b"<!DOCTYPE html>"
    refused(await commands.resolve(), "the manifest of 127.0.0.1")


async def test_blob_of_another_size(server: FileServer, commands: Commands) -> None:
    """A manifest that announces another size than the registry holds is told with both."""
    files = OciFiles([(GGUF, WEIGHTS, "")], extra={"size": 65535})
    serve(server, commands, files)
    says = "holds 65536 bytes of the layer"
    failed(await commands.resolve(), says, retryable=True)


async def test_index_of_several_models(server: FileServer, commands: Commands) -> None:
    """Between several models nobody chooses; the message names their digests."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    entries = [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 5, "digest": name}
        for name in ("sha256:" + "a" * 64, "sha256:" + "b" * 64)
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    server.files[files.tag_path] = json.dumps(index).encode()
    refused(await commands.resolve(), "sha256:" + "b" * 64)
