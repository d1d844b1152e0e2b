"""Settings that lie beside safetensors in one archive, as older tools packaged them. Pure.

It is only looked into, in memory: nothing of it is written, so its paths and links lead nowhere.

Source: docker/model-runner `pkg/distribution/internal/bundle/unpack.go` (`unpackConfigArchive`).
"""

import io
from typing import Final

from runnerd.weights.model_config import LIMITS

NAME: Final = "config.tar"
"""What it is called here."""

LIMIT: Final = 24 << 20
"""Bytes of an archive that is looked into; a larger one tells nothing."""

_MOST: Final = 1000


def unpacked(data: bytes) -> dict[str, bytes]:
    """The settings in an archive by their names; none of one that cannot be read.

    The artifact's own config tells the most of it, too, so a broken archive is no reason to
    refuse a model before an engine does.
    """
    import tarfile  # noqa: PLC0415  # slow to import, and few models have an archive

    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry, _ in zip(archive, range(_MOST), strict=False):
                name = entry.name.removeprefix("./")
                # An entry with holes would make much out of little.
                if not entry.isreg() or entry.issparse() or entry.size > LIMITS.get(name, -1):
                    continue
                content = archive.extractfile(entry)
                if content is not None:
                    found[name] = content.read()
    except (tarfile.TarError, EOFError, ValueError, OSError):
        return {}
    return found
