"""Puts a model in its place whose files are on the volume already."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, Source, WeightsFile
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.documents import write_documents
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.failure import WeightsError
from runnerd.weights.headers import read_artifact
from runnerd.weights.oci.documents import (
    LONGEST,
    Manifest,
    digest_of,
    read_config,
    read_manifest,
)
from runnerd.weights.oci.layers import check_config_type, files_of
from runnerd.weights.oci.media import MANIFEST
from runnerd.weights.store import Store
from runnerd.weights.tensor_model import refuse_tensors


@contextmanager
def landing(catalogue: Catalogue) -> Iterator[Path]:
    """A folder on the catalogue's volume for the block, in which to collect files.

    Raises:
        OSError: the volume cannot be written.
    """
    store = Store(catalogue.root, f"load-{uuid.uuid4().hex}")
    # With its lock held nobody sweeps it away.
    with store.lock():
        try:
            store.partial.mkdir(mode=0o775)
            yield store.partial
        finally:
            store.forget()


def install(
    catalogue: Catalogue, blobs: Mapping[str, Path], manifest: bytes, tag: str = ""
) -> Stored:
    """Make files a model of the catalogue.

    Args:
        catalogue: Which gets the model.
        blobs: The config and the layers by their digests, which are right, in a `landing`.
        manifest: What describes them, as a registry would have it.
        tag: Leads to the model then; "" for none.

    Raises:
        WeightsError: nothing that can be run here, something is missing, or it is being pulled.
        OSError: the disk failed.
    """
    identity = digest_of(manifest)
    store = catalogue.store(identity)
    config, files = _read(manifest, blobs, identity)
    with store.lock() as mine:
        if not mine:
            raise WeightsError(f"{identity} is being pulled: wait for that", retryable=True)
        if store.whole() is None:
            _check(files, blobs)
            try:
                _move(store, files, blobs)
                store.publish(Source(), _artifact(store, files, identity))
            except BaseException:
                store.discard_partial()
                raise
        write_documents(store.folder, manifest, config)
    stored = catalogue.admit(identity, tag)
    if stored is None:
        raise WeightsError(f"{identity} was removed while it came: send it again")
    return stored


def _read(
    manifest: bytes, blobs: Mapping[str, Path], where: str
) -> tuple[bytes, tuple[WeightsFile, ...]]:
    """The config, and which layers become which files."""
    found = read_manifest(manifest, MANIFEST, where)
    if not isinstance(found, Manifest):
        raise malformed(f"{where} is an index: send one model")
    check_config_type(found, where)
    path = blobs.get(found.config.digest)
    if path is None or path.stat().st_size > LONGEST:
        raise malformed(f"the config {found.config.digest} is missing, or longer than any is")
    config = path.read_bytes()
    files = files_of(found, read_config(config, where), where)
    refuse_tensors(files, where, "send a model with GGUF weights")
    return config, files


def _check(files: tuple[WeightsFile, ...], blobs: Mapping[str, Path]) -> None:
    for file in files:
        path = blobs.get(f"sha256:{file.sha256}")
        if path is None or path.stat().st_size != file.size_bytes:
            raise malformed(f"the layer sha256:{file.sha256} is missing, or has another size")


def _move(store: Store, files: tuple[WeightsFile, ...], blobs: Mapping[str, Path]) -> None:
    store.discard_partial()
    store.partial.mkdir(mode=0o775)
    moved: dict[str, Path] = {}
    for file in files:
        target = store.partial / file.path
        if file.sha256 in moved:
            # Not a link: not every volume knows links.
            shutil.copyfile(moved[file.sha256], target)
        else:
            blobs[f"sha256:{file.sha256}"].rename(target)
        moved[file.sha256] = target
        with target.open("rb") as content:
            os.fsync(content.fileno())


def _artifact(store: Store, files: tuple[WeightsFile, ...], identity: str) -> Artifact:
    return read_artifact(store.partial, files, identity, digest=identity)


def malformed(message: str) -> WeightsError:
    """The error for what is no model as Docker Model Runner writes it."""
    return WeightsError(message, reason=Reason.INVALID_CONFIGURATION)
