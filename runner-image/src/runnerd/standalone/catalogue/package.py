"""A stored model as the artifact that a registry would have of it."""

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.failure import unsupported
from runnerd.weights.oci.documents import Manifest, read_manifest
from runnerd.weights.oci.media import MANIFEST
from runnerd.weights.oci.package import Layer, Package


def package_of(catalogue: Catalogue, stored: Stored) -> Package:
    """Its documents and its layers.

    Raises:
        WeightsError: some of it was left out when it was pulled.
        UnknownModelError: it is gone.
    """
    manifest, config = catalogue.documents(stored)
    found = read_manifest(manifest, MANIFEST, stored.identity)
    files = {f"sha256:{file.sha256}": file.path for file in stored.artifact.files}
    layers = found.layers if isinstance(found, Manifest) else ()
    absent = [layer for layer in layers if layer.digest not in files]
    if absent:
        raise unsupported(
            f"{stored.identity} has {len(absent)} layers that no engine here needs "
            f"({absent[0].media_type}), so they were not pulled: copy it from its registry"
        )
    there = tuple(
        Layer(
            path=stored.folder / files[layer.digest],
            media_type=layer.media_type,
            digest=layer.digest,
            size=layer.size,
        )
        for layer in layers
    )
    return Package(manifest=manifest, config=config, layers=there)
