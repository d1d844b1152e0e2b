"""`runnerd resolve` and `runnerd pull` of artifacts in all layouts, and from ill registries."""

import hashlib
import json
from typing import Any

import pytest

from modelrunner_protocol.wire import FileKind
from tests.integration.weights.commands import Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import failed, serve, source
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import (
    CONFIG_CNCF,
    CONFIG_V2,
    GGUF,
    INDEX,
    MANIFEST,
    OciFiles,
    descriptor,
    digest,
)

WEIGHTS = model(SIZE)
DOCKER = "application/vnd.docker.ai"
CNCF = "application/vnd.cncf.model"


def _shards(count: int) -> list[bytes]:
    return [
        model(SIZE, {**MODEL, "split.no": i, "split.count": count}, seed=i) for i in range(count)
    ]


def _plain() -> OciFiles:
    return OciFiles([(GGUF, WEIGHTS, "")])


async def test_resolve_reads_the_header_alone(server: FileServer, commands: Commands) -> None:
    """Manifest, config and 2 MiB of the weights: digest, files, sizes and metadata are known."""
    large = WEIGHTS + bytes(60 * MIB)
    files = OciFiles([(GGUF, large, "smol.gguf"), (f"{DOCKER}.license", b"MIT", "LICENSE")])
    serve(server, commands, files)
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert artifact.digest == digest(files.manifest_bytes)
    assert [(file.path, file.size_bytes, file.kind) for file in artifact.files] == [
        ("model.gguf", len(large), FileKind.WEIGHTS),
        ("LICENSE", 3, FileKind.LICENSE),
    ]
    assert artifact.size_bytes == len(large) + 3
    assert artifact.files[0].sha256 == hashlib.sha256(large).hexdigest()
    assert (artifact.architecture, artifact.context_size) == ("llama", 2048)
    assert server.sent < 4 * MIB


LAYOUTS: dict[str, OciFiles] = {
    "docker v0.1": _plain(),
    "docker v0.2": OciFiles(
        [
            (GGUF, WEIGHTS, "gguf/m.gguf"),
            (f"{DOCKER}.model.file", b"# Readme", "README.md"),
            (f"{DOCKER}.dir.tar", b"tar", "docs"),
        ],
        config_type=CONFIG_V2,
    ),
    "cncf raw": OciFiles(
        [
            (f"{CNCF}.weight.v1.raw", WEIGHTS, "m.gguf"),
            (f"{CNCF}.weight.config.v1.raw", b"{}", "config.json"),
            (f"{CNCF}.doc.v1.raw", b"# Readme", "README.md"),
        ],
        config_type=CONFIG_CNCF,
        config={"descriptor": {}, "modelfs": {}, "config": {"format": "gguf", "paramSize": "1b"}},
        manifest={"artifactType": "application/vnd.cncf.model.manifest.v1+json"},
    ),
    "cncf raw without a name": OciFiles(
        [(f"{CNCF}.weight.v1.raw", WEIGHTS, "")], config_type=CONFIG_CNCF
    ),
    "cncf of older tools": OciFiles(
        [(f"{CNCF}.weight.v1.gguf", WEIGHTS, "")], config_type=CONFIG_CNCF
    ),
    "no media type in the manifest": OciFiles([(GGUF, WEIGHTS, "")], manifest={"mediaType": None}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
async def test_layouts(layout: OciFiles, server: FileServer, commands: Commands) -> None:
    """Each layout's weights get into the cache, and nothing that nobody needs is downloaded."""
    serve(server, commands, layout)
    ended = await commands.pull()
    artifact = ended.outcome.artifact
    assert artifact is not None, ended.outcome.message
    assert artifact.digest == digest(layout.manifest_bytes)
    assert sorted(path.name for path in commands.folder.iterdir()) == [
        "manifest.json",
        "model.gguf",
    ]
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS
    assert ended.outcome.downloaded_bytes == SIZE


@pytest.mark.parametrize("named", [True, False], ids=["by name", "by order"])
async def test_model_in_parts_with_all_that_belongs_to_it(
    named: bool, server: FileServer, commands: Commands
) -> None:
    """Shards in their order, a projector, a template and two licenses, each under a name of ours."""
    one, two = _shards(2)
    projector = model(4096, {"general.architecture": "clip", "general.type": "mmproj"})
    layers = [
        (GGUF, one, "x-00001-of-00002.gguf" if named else ""),
        (GGUF, two, "x-00002-of-00002.gguf" if named else ""),
    ]
    layers = layers[::-1] if named else layers
    beside = [
        (f"{DOCKER}.mmproj", projector, "p.gguf"),
        (f"{DOCKER}.chat.template.jinja", b"{{ x }}", ""),
        (f"{DOCKER}.license", b"MIT", "LICENSE"),
        (f"{DOCKER}.license", b"also", "USE_POLICY"),
    ]
    serve(server, commands, OciFiles([*beside, *layers]))
    resolved = (await commands.resolve()).outcome.artifact
    assert resolved is not None
    ended = await commands.pull(expected=resolved)
    artifact = ended.outcome.artifact
    assert artifact is not None, ended.outcome.message
    assert artifact.files == resolved.files
    assert [(file.path, file.kind) for file in artifact.files] == [
        ("model-00001-of-00002.gguf", FileKind.WEIGHTS),
        ("model-00002-of-00002.gguf", FileKind.WEIGHTS),
        ("model.mmproj", FileKind.PROJECTOR),
        ("template.jinja", FileKind.CHAT_TEMPLATE),
        ("LICENSE", FileKind.LICENSE),
        ("LICENSE-2", FileKind.LICENSE),
    ]
    contents = [(commands.folder / file.path).read_bytes() for file in artifact.files]
    assert contents == [one, two, projector, b"{{ x }}", b"MIT", b"also"]
    assert artifact.digest == resolved.digest
    assert ended.outcome.downloaded_bytes == artifact.size_bytes
    assert artifact.parameters == "2.10 M"


async def test_shards_in_the_wrong_order(server: FileServer, commands: Commands) -> None:
    """Parts without names that come in another order are not published as a model."""
    one = _shards(2)[0]
    serve(server, commands, OciFiles([(GGUF, one, ""), (GGUF, one, "")]))
    ended = await commands.pull()
    assert "number 2 says that it is part 1 of 2" in ended.outcome.message
    assert not commands.folder.exists()


async def test_index_with_one_model(server: FileServer, commands: Commands) -> None:
    """An index leads to the one model in it; attestations beside it do not count."""
    files = _plain()
    serve(server, commands, files)
    manifest = files.manifest_bytes
    noise = descriptor(MANIFEST, b"{}", platform={"os": "unknown", "architecture": "unknown"})
    entries = [noise, descriptor(MANIFEST, manifest)]
    server.files[files.tag_path] = _index(entries)
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert artifact.digest == digest(manifest)


def _index(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


async def test_tag_that_moves_between_resolve_and_pull(
    server: FileServer, commands: Commands
) -> None:
    """What was resolved is pulled, though the tag now names something else."""
    files = _plain()
    serve(server, commands, files)
    resolved = (await commands.resolve()).outcome.artifact
    server.files[files.tag_path] = OciFiles([(GGUF, model(SIZE, seed=2), "")]).manifest_bytes
    server.requests.clear()
    ended = await commands.pull(expected=resolved)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE)
    assert [request.path for request in server.requests] == [files.path(WEIGHTS)]
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_many_files(server: FileServer, commands: Commands) -> None:
    """More files than a termination message can name are pulled all the same."""
    shards = [model(4096, {**MODEL, "split.no": i, "split.count": 64}, seed=i) for i in range(64)]
    serve(server, commands, OciFiles([(GGUF, shard, "") for shard in shards]))
    resolved = (await commands.resolve()).outcome.artifact
    assert resolved is not None
    assert len(resolved.files) == 1
    assert resolved.size_bytes == 64 * 4096
    ended = await commands.pull(expected=resolved)
    assert ended.code == 0, ended.outcome.message
    assert len(list(commands.folder.glob("*.gguf"))) == 64
    again = await commands.pull(expected=resolved)
    assert (again.code, again.outcome.downloaded_bytes) == (0, 0)


async def test_kill_and_resume_within_several_files(server: FileServer, commands: Commands) -> None:
    """After kill -9 in the second file neither the first nor a byte of the second comes twice."""
    one, two = _shards(2)
    files = OciFiles([(GGUF, one, ""), (GGUF, two, "")])
    serve(server, commands, files)
    resolved = (await commands.resolve()).outcome.artifact
    server.requests.clear()
    server.by_path[files.path(two)] = Fault(hang_after=MIB)
    running = await commands.start("pull", expected=resolved)
    commands_partial = commands.partial.with_name("model-00002-of-00002.gguf")
    await commands.file_held(commands_partial, MIB)
    # The file has grown a moment before it is counted.
    progress = await running.counted(SIZE + MIB)
    assert (progress.completed_bytes, progress.total_bytes) == (SIZE + MIB, 2 * SIZE)
    running.process.kill()
    await running.process.wait()
    server.by_path.clear()
    ended = await commands.pull(expected=resolved)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE - MIB)
    assert server.sent == 2 * SIZE


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("kind", ["manifest", "config", "weights"])
async def test_overload_is_waited_for(
    kind: str, status: int, server: FileServer, commands: Commands
) -> None:
    """429 and 503 are tried again after the time the registry asks for, whatever is asked."""
    files = _plain()
    serve(server, commands, files)
    path = {
        "manifest": files.tag_path,
        "config": files.path(files.config_bytes),
        "weights": files.path(WEIGHTS),
    }[kind]
    fault = Fault(status=status, headers={"Retry-After": "1"}, before=server.by_path.clear)
    server.by_path[path] = fault
    ended = await commands.resolve()
    assert ended.code == 0, ended.outcome.message
    assert f"the server answered {status}; trying again in 1.0 s" in ended.log


BLOB_FAULTS: dict[str, list[Fault]] = {
    "short bodies": [Fault(cut_after=MIB + 1000 * i) for i in range(3)],
    "silence": [Fault(hang_after=MIB)],
    "refused range": [Fault(cut_after=MIB), Fault(status=416)],
    "range from elsewhere": [Fault(cut_after=MIB), Fault(shift=5)],
    "no ranges": [Fault(cut_after=MIB), Fault(ignore_range=True)],
    "no entity tag": [Fault(cut_after=MIB, headers={"ETag": None}), Fault(headers={"ETag": None})],
}


@pytest.mark.parametrize("faults", BLOB_FAULTS.values(), ids=BLOB_FAULTS)
async def test_ill_registry(faults: list[Fault], server: FileServer, commands: Commands) -> None:
    """Bodies that end early, silence, refused and wrong ranges: the file ends whole."""
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = "500ms"
    files = _plain()
    serve(server, commands, files)
    resolved = (await commands.resolve()).outcome.artifact
    server.faults.extend(faults)
    assert (await commands.pull(expected=resolved)).code == 0
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_wrong_bytes_are_not_kept(server: FileServer, commands: Commands) -> None:
    """A blob that is not what its digest says is told and thrown away; its neighbours are kept."""
    one, two = _shards(2)
    files = OciFiles([(GGUF, one, ""), (GGUF, two, "")])
    serve(server, commands, files)
    resolved = (await commands.resolve()).outcome.artifact
    server.files[files.path(two)] = one
    ended = await commands.pull(expected=resolved)
    failed(ended, f"instead of {hashlib.sha256(two).hexdigest()}", retryable=True)
    assert not commands.folder.exists()
    server.files[files.path(two)] = two
    again = await commands.pull(expected=resolved)
    assert (again.code, again.outcome.downloaded_bytes) == (0, SIZE)


@pytest.mark.parametrize("document", ["manifest", "config"])
async def test_wrong_documents_are_not_believed(
    document: str, server: FileServer, commands: Commands
) -> None:
    """A manifest asked for by digest, and every config, has to have its digest."""
    files = _plain()
    serve(server, commands, files)
    if document == "config":
        server.files[files.path(files.config_bytes)] = b'{"config":{"format":"GGUF"}}'
    else:
        name = digest(files.manifest_bytes)
        other = OciFiles([(GGUF, model(SIZE, seed=2), "")])
        server.files |= other.files() | {f"/v2/team/model/manifests/{name}": other.manifest_bytes}
        reference = f"127.0.0.1:{server.port}/team/model@{name}"
        commands.source = source(reference)
    failed(await commands.resolve(), f"the {document} of 127.0.0.1", retryable=True)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("manifest", "has no team/model with the tag v1: correct spec.source.oci.reference"),
        ("weights", "has lost the layer sha256:"),
    ],
)
async def test_what_is_missing_is_told(
    kind: str, says: str, server: FileServer, commands: Commands
) -> None:
    """A missing tag is the user's to mend, a missing layer that of who pushed it."""
    files = _plain()
    serve(server, commands, files)
    del server.files[files.tag_path if kind == "manifest" else files.path(WEIGHTS)]
    failed(await commands.resolve(), says, retryable=kind == "weights")


async def test_blobs_elsewhere(server: FileServer, commands: Commands) -> None:
    """The range is kept over a redirect to another host; a signed URL that expired is renewed."""
    async with FileServer({"/signed": WEIGHTS}).running() as store:
        files = _plain()
        serve(server, commands, files)
        location = {"Location": store.url("/signed").replace("127.0.0.1", "localhost")}
        server.by_path[files.path(WEIGHTS)] = Fault(status=307, headers=location)
        resolved = (await commands.resolve()).outcome.artifact
        store.faults.extend([Fault(cut_after=MIB), Fault(status=403)])
        store.requests.clear()
        ended = await commands.pull(expected=resolved)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE), ended.outcome.message
    assert [request.headers.get("range") for request in store.requests] == [
        None,
        f"bytes={MIB}-",
        f"bytes={MIB}-",
    ]


async def test_mirror_comes_first(server: FileServer, commands: Commands) -> None:
    """A mirror serves what it has; what it has not, and all when it is ill, comes from the registry."""
    files = _plain()
    serve(server, commands, files)
    async with FileServer(files.files()).running() as mirror:
        del mirror.files[files.path(files.config_bytes)]
        name = f"127.0.0.1:{server.port}"
        commands.environment["RUNNERD_REGISTRY_MIRRORS"] = f"{name}={mirror.url('')}"
        assert (await commands.pull()).code == 0
        assert [request.path for request in server.requests] == [files.path(files.config_bytes)]
        assert mirror.sent > SIZE
        mirror.always = Fault(status=503)
        commands.key = "fedcba9876543210"
        assert (await commands.pull()).code == 0
