"""Models in tar archives, written and read."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.export import export, size_of
from runnerd.standalone.catalogue.load import load
from runnerd.standalone.catalogue.package import package_of
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.content import content_name
from runnerd.weights.oci.package import Ingredients
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import CONFIG_V1, GGUF, INDEX, OciFiles, descriptor
from tests.unit.runnerd.standalone.catalogue.conftest import Adder

WEIGHTS = model()
PLAIN = OciFiles([(GGUF, WEIGHTS, "m.gguf")])


def _archive(files: OciFiles, change: Callable[[dict[str, bytes]], None] = lambda _: None) -> bytes:
    blobs = [data for _, data, _ in files.layers] + [files.config_bytes]
    entries = {f"blobs/sha256/{hashlib.sha256(data).hexdigest()}": data for data in blobs}
    entries["manifest.json"] = files.manifest_bytes
    change(entries)
    return _tar(entries)


def _tar(entries: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        folder = tarfile.TarInfo("blobs")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


async def _pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _exported(catalogue: Catalogue, stored: Stored) -> bytes:
    package = package_of(catalogue, stored)
    data = b"".join([piece async for piece in export(package)])
    assert len(data) == size_of(package)
    return data


def _left(catalogue: Catalogue) -> list[str]:
    return sorted(
        path.name for path in catalogue.root.iterdir() if not path.name.endswith((".lock", ".json"))
    )


async def test_exported_model_is_loaded(tmp_path: Path, catalogue: Catalogue, adder: Adder) -> None:
    """It is the same model, by its identity, in another catalogue; it has no tag there."""
    stored = adder("m")
    data = await _exported(catalogue, stored)
    other = Catalogue(tmp_path / "other")
    loaded = await load(other, _pieces(data))
    assert (loaded.identity, loaded.tags) == (stored.identity, ())
    assert loaded.artifact == stored.artifact
    assert loaded.weights.read_bytes() == WEIGHTS
    assert other.documents(loaded) == catalogue.documents(stored)
    assert _left(other) == [loaded.identity[7:], content_name(loaded.artifact.files)]


async def test_all_that_belongs_to_a_model(tmp_path: Path, catalogue: Catalogue) -> None:
    """Shards, projector, template and licenses, two of them equal, go there and back."""
    shards = [tmp_path / f"m-0000{i}-of-00002.gguf" for i in (1, 2)]
    for i, shard in enumerate(shards):
        shard.write_bytes(model(8192, {**MODEL, "split.no": i, "split.count": 2}, seed=i))
    projector = tmp_path / "p.gguf"
    projector.write_bytes(model(4096, {"general.type": "mmproj"}))
    template = tmp_path / "t.jinja"
    template.write_text("{{ messages }}")
    licenses = [tmp_path / "LICENSE", tmp_path / "NOTICE"]
    for path in licenses:
        path.write_text("MIT")
    files = Ingredients(
        weights=shards, projector=projector, chat_template=template, licenses=licenses
    )
    stored = await asyncio.to_thread(add, catalogue, files, "m")
    assert stored.weights.name == "model-00001-of-00002.gguf"
    assert stored.projector is not None
    assert stored.projector.read_bytes() == projector.read_bytes()
    assert stored.chat_template is not None
    assert stored.chat_template.read_text() == "{{ messages }}"
    other = Catalogue(tmp_path / "other")
    loaded = await load(other, _pieces(await _exported(catalogue, stored), 100_000))
    assert loaded.artifact == stored.artifact
    assert (loaded.folder / "LICENSE-2").read_text() == "MIT"


async def test_model_that_is_there_already(catalogue: Catalogue) -> None:
    """Loaded twice it is one model, which keeps its tags."""
    loaded = await load(catalogue, _pieces(_archive(PLAIN)))
    catalogue.tag(loaded.identity, "m")
    again = await load(catalogue, _pieces(_archive(PLAIN)))
    assert again.tags == ("ai/m:latest",)
    assert catalogue.models() == [again]


def _cut(entries: dict[str, bytes]) -> None:
    entries[next(iter(entries))] = WEIGHTS[:-1]


def _rotten(entries: dict[str, bytes]) -> None:
    entries[next(iter(entries))] = bytes(len(WEIGHTS))


def _no_manifest(entries: dict[str, bytes]) -> None:
    del entries["manifest.json"]


def _no_weights(entries: dict[str, bytes]) -> None:
    del entries[next(iter(entries))]


def _no_config(entries: dict[str, bytes]) -> None:
    del entries[list(entries)[1]]


def _wrong_size(entries: dict[str, bytes]) -> None:
    manifest = json.loads(entries["manifest.json"])
    manifest["layers"][0]["size"] += 1
    entries["manifest.json"] = json.dumps(manifest).encode()


def _index(entries: dict[str, bytes]) -> None:
    entries["manifest.json"] = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    ).encode()


def _outside(entries: dict[str, bytes]) -> None:
    data = entries.pop(next(iter(entries)))
    entries[f"../blobs/sha256/{hashlib.sha256(data).hexdigest()}"] = data


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (_cut, 400, "package it again"),
        (_rotten, 400, "package it again"),
        (_no_manifest, 400, "no manifest.json"),
        (_no_weights, 400, "is missing"),
        (_no_config, 400, "is missing"),
        (_wrong_size, 400, "another size"),
        (_index, 400, "is an index"),
        (_outside, 400, "is missing"),
    ],
)
async def test_archive_that_is_wrong(
    catalogue: Catalogue, change: Callable[[dict[str, bytes]], None], status: int, says: str
) -> None:
    """Each is refused in words, and leaves nothing behind."""
    with pytest.raises(PullRefusedError, match=says) as refused:
        await load(catalogue, _pieces(_archive(PLAIN, change)))
    assert refused.value.status == status
    assert (catalogue.models(), _left(catalogue)) == ([], [])


IMAGE = "application/vnd.oci.image.config.v1+json"
HOSTILE: dict[str, Any] = {"annotations": {"org.cncf.model.filepath": "../../etc/passwd"}}


@pytest.mark.parametrize(
    "files",
    [
        OciFiles([(GGUF, WEIGHTS, "")], config_type=IMAGE),
        OciFiles([(GGUF, b"{}" * 50, "")]),
        OciFiles([("application/vnd.docker.ai.safetensors", b"x", "")]),
        OciFiles([], manifest={"layers": [descriptor(GGUF, WEIGHTS) | HOSTILE]}),
        OciFiles([("application/unknown", b"x", ""), (GGUF, WEIGHTS, "")]),
        OciFiles([(GGUF, WEIGHTS, "")], config=b"[]", config_type=CONFIG_V1),
    ],
    ids=["image", "no GGUF", "safetensors", "hostile path", "unknown layer", "no config"],
)
async def test_archive_of_something_else(catalogue: Catalogue, files: OciFiles) -> None:
    """What no engine here can run is refused as such."""
    with pytest.raises(PullRefusedError) as refused:
        await load(catalogue, _pieces(_archive(files)))
    assert refused.value.status == 422
    assert (catalogue.models(), _left(catalogue)) == ([], [])


@pytest.mark.parametrize("data", [b"", b"no archive at all" * 100, _archive(PLAIN)[:3000]])
async def test_what_is_no_archive(catalogue: Catalogue, data: bytes) -> None:
    """Anything else is refused in words."""
    with pytest.raises(PullRefusedError) as refused:
        await load(catalogue, _pieces(data))
    assert refused.value.status == 400
    assert (catalogue.models(), _left(catalogue)) == ([], [])


async def test_links_and_holes_are_nothing(catalogue: Catalogue) -> None:
    """A link in the place of a blob is not followed: the blob is missing."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        link = tarfile.TarInfo(f"blobs/sha256/{hashlib.sha256(WEIGHTS).hexdigest()}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(PullRefusedError, match=r"no manifest\.json"):
        await load(catalogue, _pieces(target.getvalue()))


async def test_too_many_entries(catalogue: Catalogue) -> None:
    """An archive without an end is not read to its end."""
    with pytest.raises(PullRefusedError, match="more than 2000 entries"):
        await load(catalogue, _pieces(_tar({f"f{i}": b"" for i in range(2001)}), 100_000))


async def test_sender_that_breaks_off(catalogue: Catalogue) -> None:
    """An error of the connection is a refusal, and leaves nothing behind."""

    async def broken() -> AsyncIterator[bytes]:
        yield _archive(PLAIN)[:3000]
        raise ConnectionResetError

    with pytest.raises(PullRefusedError, match="broke off"):
        await load(catalogue, broken())
    assert _left(catalogue) == []


async def test_load_that_is_cancelled(catalogue: Catalogue) -> None:
    """When the client leaves, the thread that reads ends, and what has come is removed."""
    waiting, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield _archive(PLAIN)[:3000]
        waiting.set()
        await go.wait()

    task = asyncio.create_task(load(catalogue, slow()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(120):
        while _left(catalogue):  # noqa: ASYNC110 - a file system has nothing to wait on
            await asyncio.sleep(0.01)


def test_file_that_changes_while_it_is_added(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is what was hashed, or nothing."""
    file = tmp_path / "m.gguf"
    file.write_bytes(WEIGHTS)
    admit = catalogue.admit

    def changed(identity: str, tag: str = "", *, known: bool = False) -> Stored | None:
        file.write_bytes(model(seed=2))
        return admit(identity, tag, known=known)

    monkeypatch.setattr(catalogue, "admit", changed)
    with pytest.raises(Exception, match="changed while it was copied"):
        add(catalogue, Ingredients(weights=[file]), "m")
    assert _left(catalogue) == []


def test_model_that_is_being_pulled(tmp_path: Path, catalogue: Catalogue, adder: Adder) -> None:
    """Two writers of one model are told apart: the second is asked to wait."""
    identity = adder("m").identity
    catalogue.remove("m")
    with catalogue.store(identity).lock(), pytest.raises(Exception, match="is being pulled"):
        adder("m")
