"""Safetensors from every source: what they are is known from their headers and settings alone."""

import json
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, FileKind, HuggingFaceSource, S3Source, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.oci_commands import docker_library, package, refused, serve, source
from tests.support.file_server import FileServer
from tests.support.hub import Hub
from tests.support.oci_files import CONFIG_CNCF, CONFIG_V1, CONFIG_V2, OciFiles
from tests.support.registry_process import running_registry
from tests.support.s3_server import REGION, keys, running_s3
from tests.support.tensor_models import NEEDED, framed, model_files, tensors

TENSORS = "application/vnd.docker.ai.safetensors"
FILE = "application/vnd.docker.ai.model.file"
CNCF = "application/vnd.cncf.model.weight"
WHOLE = model_files()


def _resolved(ended: Ended, parameters: str = "32.77 K") -> Artifact:
    assert ended.code == 0, ended.outcome.message
    found = ended.outcome.artifact
    assert found is not None
    told = (found.format, found.parameters, found.quantization)
    assert told == ("safetensors", parameters, "BF16")
    return found


def _as_configured(found: Artifact) -> None:
    told = (found.architecture, found.context_size, found.abilities)
    assert told == ("llama", 8192, ("tools",))
    assert found.memory_bytes is not None
    # 4096 tokens of 5760 keys and as many values, 2 bytes each, and what is computed with.
    assert found.memory_bytes - 4096 * 4 * 5760 > found.size_bytes


def _kept(commands: Commands, files: dict[str, bytes], names: set[str]) -> None:
    there = {path.name for path in commands.folder.iterdir()}
    assert there - {"manifest.json"} == names
    for name in names:
        assert (commands.folder / name).read_bytes() == files[name]


async def test_a_repository(server: FileServer, commands: Commands) -> None:
    """Shards by the index, settings and tokenizer come; pickles, code and papers never do."""
    files = model_files(3) | {"extra.safetensors": tensors(seed=9)}
    server.files = {}
    async with Hub(server).running() as hub:
        commands.environment["HF_ENDPOINT"] = hub.url
        commit = hub.put("acme/m", files)
        commands.source = Source(hugging_face=HuggingFaceSource(repository="acme/m"))
        found = _resolved(await commands.resolve(), "98.30 K")
        _as_configured(found)
        assert found.revision == commit
        ended = await commands.pull(expected=found)
    pulled = _resolved(ended, "98.30 K")
    _as_configured(pulled)
    shards = {f"model-{at:05d}-of-00003.safetensors" for at in (1, 2, 3)}
    _kept(commands, files, {*shards, "model.safetensors.index.json", *NEEDED})
    assert [file.path for file in pulled.files if file.kind is FileKind.WEIGHTS] == sorted(shards)


async def test_a_bucket(commands: Commands, tmp_path: Path) -> None:
    """A folder of a bucket is a model as a repository is; one object is its header alone."""
    files = model_files(2)
    with running_s3(tmp_path) as store:
        for name, content in files.items():
            store.put("models", f"team/m/{name}", content)
        commands.credentials = keys(tmp_path / "secret")
        place = {"bucket": "models", "endpoint": store.url, "region": REGION, "insecure": True}
        part = "team/m/model-00001-of-00002.safetensors"
        commands.source = Source(s3=S3Source(prefix=part, **place))  # type: ignore[arg-type]  # named above
        refused(await commands.resolve(), "set spec.source.s3.prefix to its folder")
        commands.source = Source(s3=S3Source(prefix="team/m", **place))  # type: ignore[arg-type]  # named above
        found = _resolved(await commands.resolve(), "65.54 K")
        _as_configured(found)
        ended = await commands.pull(expected=found)
        _as_configured(_resolved(ended, "65.54 K"))
    shards = {f"model-{at:05d}-of-00002.safetensors" for at in (1, 2)}
    _kept(commands, files, {*shards, "model.safetensors.index.json", *NEEDED})


async def test_a_url(server: FileServer, commands: Commands) -> None:
    """One file tells its tensors, and nothing of what lies beside it elsewhere."""
    large = tensors({"w": ("BF16", [2048, 2048])})
    server.files = {"/m/model.safetensors": large}
    commands.url = server.url("/m/model.safetensors")
    found = _resolved(await commands.resolve(), "4.19 M")
    assert (found.architecture, found.size_bytes) == ("", len(large))
    assert found.memory_bytes == len(large) + (64 << 20)
    assert server.sent < 1 << 20
    assert (await commands.pull(expected=found)).code == 0
    assert (commands.folder / "model.safetensors").read_bytes() == large


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            framed(b'{"w":{"dtype":"BF16","shape":[9],"data_offsets":[0,18]}}'),
            "cut short or damaged",
        ),
        (b"\xff" * 64, "claims a header of 18446744073709551615 bytes"),
        (framed(b"{" + b"[" * 70_000, b"x"), "is not JSON"),
        (b"<!DOCTYPE html>" * 9, "claims a header of"),
        (b"abc", "fewer than any header"),
    ],
)
async def test_files_that_lie(
    content: bytes, says: str, server: FileServer, commands: Commands
) -> None:
    """What a header says has to be in the file; what is none is told."""
    server.files = {"/m/model.safetensors": content}
    commands.url = server.url("/m/model.safetensors")
    refused(await commands.resolve(), says)


def _layers(kind: str, beside: str) -> list[tuple[str, bytes, str]]:
    found = [(kind, WHOLE["model.safetensors"], "model.safetensors")]
    return found + [(beside, WHOLE[name], name) for name in (*NEEDED, "README.md")]


ARTIFACTS = {
    "Docker's, a layer for each file": OciFiles(_layers(TENSORS, FILE), config_type=CONFIG_V2),
    "CNCF's": OciFiles(
        _layers(f"{CNCF}.v1.raw", f"{CNCF}.config.v1.raw"), config={}, config_type=CONFIG_CNCF
    ),
    "CNCF's by their type": OciFiles(
        _layers(f"{CNCF}.v1.safetensors", f"{CNCF}.config.v1.raw"),
        config={},
        config_type=CONFIG_CNCF,
    ),
}


@pytest.mark.parametrize("files", ARTIFACTS.values(), ids=ARTIFACTS)
async def test_an_artifact(files: OciFiles, server: FileServer, commands: Commands) -> None:
    """Layers keep the names that their files have for one another."""
    serve(server, commands, files)
    found = _resolved(await commands.resolve())
    _as_configured(found)
    _as_configured(_resolved(await commands.pull(expected=found)))
    _kept(commands, WHOLE, {"model.safetensors", *NEEDED})


async def test_an_artifact_that_tells_it_in_its_config(
    server: FileServer, commands: Commands
) -> None:
    """Older ones have their settings in an archive; the artifact's own config says some of it."""
    layers = [
        (TENSORS, tensors(), ""),
        ("application/vnd.docker.ai.vllm.config.tar", b"x" * 512, ""),
    ]
    config = {"config": {"format": "safetensors", "architecture": "llama", "context_size": 8192}}
    serve(server, commands, OciFiles(layers, config=config, config_type=CONFIG_V1))
    found = _resolved(await commands.resolve())
    assert (found.architecture, found.context_size) == ("llama", 8192)
    pulled = _resolved(await commands.pull(expected=found))
    assert (pulled.architecture, pulled.context_size) == ("llama", 8192)
    assert {path.name for path in commands.folder.iterdir()} >= {"model.safetensors", "config.tar"}


HOSTILE = {
    "twins": (
        [(TENSORS, tensors(), "m.safetensors"), (TENSORS, tensors(seed=2), "M.safetensors")],
        "twice",
    ),
    "one name for two": (
        [(TENSORS, tensors(), "m.safetensors"), (TENSORS, tensors(seed=2), "m.safetensors")],
        "under one name",
    ),
    "settings that are the weights": (
        [(TENSORS, tensors(), "a.json.safetensors"), (FILE, b"{}", "config.json")] * 2,
        "under one name",
    ),
    "settings elsewhere": (
        [(TENSORS, tensors(), "model.safetensors"), (FILE, b"{}", "../../etc/config.json")],
        "leads out of its folder",
    ),
    "settings that are a bomb": (
        [(TENSORS, tensors(), "model.safetensors"), (FILE, b"[" * 300_000, "config.json")],
        "config.json of 127.0.0.1",
    ),
    "settings of absurd size": (
        [(TENSORS, tensors(), "model.safetensors"), (FILE, b" " * (5 << 20), "config.json")],
        "config.json of 5242880 bytes",
    ),
    "models in folders": (
        [
            (TENSORS, tensors(), "vae/m.safetensors"),
            (TENSORS, tensors(seed=2), "unet/m.safetensors"),
        ],
        "in 2 folders",
    ),
    "weights that are none": (
        [(TENSORS, b"GGUF" * 99, "model.safetensors")],
        "is not a safetensors file",
    ),
}


@pytest.mark.parametrize(("layers", "says"), HOSTILE.values(), ids=HOSTILE)
async def test_artifacts_that_are_refused(
    layers: list[tuple[str, bytes, str]], says: str, server: FileServer, commands: Commands
) -> None:
    """Each is UnsupportedFormat in words, and nothing of it is kept."""
    serve(server, commands, OciFiles(layers, config_type=CONFIG_V2))
    refused(await commands.resolve(), says)
    assert list(commands.root.iterdir()) == []


async def test_a_file_with_the_name_of_the_caches_own(
    server: FileServer, commands: Commands
) -> None:
    """It is left out, as all that stands beside the weights and is none of their settings."""
    layers = [(TENSORS, tensors(), "model.safetensors"), (FILE, b"{}", "manifest.json")]
    serve(server, commands, OciFiles(layers, config_type=CONFIG_V2))
    resolved = (await commands.resolve()).outcome.artifact
    assert resolved is not None
    assert [file.path for file in resolved.files] == ["model.safetensors"]
    assert (await commands.pull(expected=resolved)).code == 0
    assert (commands.folder / "manifest.json").read_bytes() != b"{}"


async def test_a_layer_of_another_size(server: FileServer, commands: Commands) -> None:
    """What the manifest announces is compared with what the registry holds."""
    layers = [(TENSORS, tensors(), "model.safetensors")]
    serve(server, commands, OciFiles(layers, extra={"size": 100}))
    ended = await commands.resolve()
    assert (ended.code, ended.outcome.reason) == (1, Reason.PULL_FAILED)
    assert "and announces 100" in ended.outcome.message


async def test_docker_reads_the_folder_that_we_package(tmp_path: Path, commands: Commands) -> None:
    """One digest everywhere; Docker unpacks the same files, and so do we."""
    folder = tmp_path / "model"
    files = {name: content for name, content in model_files(2).items() if "/" not in name}
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (tmp_path / "LICENSE").write_text("MIT")
    with running_registry(tmp_path) as registry:
        reference = registry.reference("ours/tensors:v1")
        beside: list[str | Path] = ["--license", tmp_path / "LICENSE"]
        code, answer, log = await package(
            tmp_path, folder, *beside, "--push", reference, "--insecure"
        )
        assert code == 0, log
        commands.source = source(reference)
        found = _resolved(await commands.resolve(), "65.54 K")
        _as_configured(found)
        assert found.digest == json.loads(answer)["digest"]
        assert (await commands.pull(expected=found)).code == 0
        bundle = Path((await docker_library(tmp_path, "pull", reference)).strip())
    needed = {path for path in files if path.endswith((".safetensors", ".index.json"))} | {*NEEDED}
    _kept(commands, files | {"LICENSE": b"MIT"}, needed | {"LICENSE"})
    for name in needed:
        assert (bundle / "model" / name).read_bytes() == files[name]
    config = json.loads((bundle / "config.json").read_text())
    assert (config["format"], config["architecture"], config["parameters"]) == (
        "safetensors",
        "llama",
        "65.54 K",
    )
    assert (config["quantization"], config["context_size"]) == ("BF16", 8192)


async def test_we_read_the_folder_that_docker_packages(tmp_path: Path, commands: Commands) -> None:
    """What Docker pushes of a folder, all of it, is to us what an engine needs of it."""
    files = {name: content for name, content in model_files(2).items() if "/" not in name}
    (tmp_path / "model").mkdir()
    for name, content in files.items():
        (tmp_path / "model" / name).write_bytes(content)
    with running_registry(tmp_path) as registry:
        reference = registry.reference("theirs/tensors:v1")
        await docker_library(tmp_path, "package", tmp_path / "model", reference)
        commands.source = source(reference)
        found = _resolved(await commands.resolve(), "65.54 K")
        _as_configured(found)
        assert (await commands.pull(expected=found)).code == 0
    shards = {f"model-{at:05d}-of-00002.safetensors" for at in (1, 2)}
    _kept(commands, files, {*shards, "model.safetensors.index.json", *NEEDED})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["model/model.safetensors"], "is packaged by its folder"),
        (["model", "config.json"], "is packaged by its folder"),
        (["model", "--mmproj", "model/config.json"], "in its own folder"),
        (["empty"], "no GGUF file and no safetensors file"),
    ],
)
async def test_folders_that_cannot_be_packaged(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    """Nothing is hashed for nothing."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    for name in ("model.safetensors", "config.json"):
        (tmp_path / "model" / name).write_bytes(WHOLE[name])
    (tmp_path / "config.json").write_bytes(b"{}")
    paths = [one if one.startswith("--") else tmp_path / one for one in arguments]
    code, _, log = await package(tmp_path, *paths, "--output", tmp_path / "out")
    assert (code, says in log) == (1, True), log
