"""A published artifact, others with equal bytes, and what can become of them."""

from dataclasses import replace
from pathlib import Path

from modelrunner_protocol.wire import Artifact, HttpSource, Source, WeightsFile
from runnerd.weights.content import content_name
from runnerd.weights.store import Store

SOURCE = Source(http=HttpSource(url="https://user:pass@host:8443/a/m.gguf?token=secret#f"))
ARTIFACT = Artifact(
    format="gguf", size_bytes=5, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="ab"),)
)
CONTENT = content_name(ARTIFACT.files)
OTHER = Source(http=HttpSource(url="https://other/m.gguf"))
RENAMED = replace(ARTIFACT, digest="sha256:other", etag='"v2"', revision="main")
TWICE = replace(RENAMED, files=(replace(ARTIFACT.files[0], path="twice.gguf", etag='"v2"'),))
HELD = replace(TWICE, files=(replace(TWICE.files[0], path="m.gguf"),))


def published(root: Path) -> Store:
    """What a first source brought."""
    store = Store(root, "0123456789abcdef")
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(SOURCE, ARTIFACT)
    return store


def truncate(store: Store) -> None:
    """Its file is shorter than it should be."""
    (store.folder / "m.gguf").write_bytes(b"1234")


def half_manifest(store: Store) -> None:
    """Its manifest ends in the middle."""
    path = store.folder / "manifest.json"
    path.write_text(path.read_text()[:50])


def escaping_manifest(store: Store) -> None:
    """Its manifest names a file elsewhere."""
    path = store.folder / "manifest.json"
    path.write_text(path.read_text().replace('"m.gguf"', '"../m.gguf"'))


def adopted(root: Path) -> Store:
    """Another source that has equal bytes."""
    store = Store(root, "fedcba9876543210")
    assert store.adopt(OTHER, RENAMED)
    return store


def published_twice(root: Path) -> Store:
    """Another source that has equal bytes under another name, and did not know so before."""
    store = Store(root, "fedcba9876543210")
    store.partial.mkdir()
    (store.partial / "twice.gguf").write_bytes(b"12345")
    store.publish(OTHER, TWICE)
    return store
