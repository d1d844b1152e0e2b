"""Takes GGUF files of this machine into a catalogue."""

import hashlib
from pathlib import Path
from typing import Final

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.install import install, landing
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.documents import digest_of
from runnerd.weights.oci.package import Ingredients, Layer, build

_BLOCK: Final = 4 * 1024 * 1024


def add(catalogue: Catalogue, files: Ingredients, name: str) -> Stored:
    """Copy files into a catalogue, as if `runnerd package` had pushed and we pulled them.

    Args:
        catalogue: Which gets the model.
        files: They stay where they are.
        name: The reference that leads to it.

    Raises:
        InvalidNameError: `name` is no reference.
        WeightsError: not a GGUF model, or a file changed while it was read.
        OSError: a file cannot be read, or the disk failed.
    """
    tag = catalogue.names.tag_of(name)
    package = build(files)
    there = catalogue.admit(package.digest, tag)
    if there is not None:
        return there
    with landing(catalogue) as folder:
        blobs = {layer.digest: _copied(layer, folder) for layer in package.layers}
        config = digest_of(package.config)
        blobs[config] = folder / config.partition(":")[2]
        blobs[config].write_bytes(package.config)
        return install(catalogue, blobs, package.manifest, tag)


def _copied(layer: Layer, folder: Path) -> Path:
    target = folder / layer.digest.partition(":")[2]
    sha256 = hashlib.sha256()
    with layer.path.open("rb") as source, target.open("wb") as copy:
        while block := source.read(_BLOCK):
            sha256.update(block)
            copy.write(block)
    if f"sha256:{sha256.hexdigest()}" != layer.digest:
        raise WeightsError(f"{layer.path} changed while it was copied: add it again")
    return target
