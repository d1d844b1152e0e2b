"""A model that is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import Artifact, FileKind

OCI_MANIFEST: Final = "oci-manifest.json"
OCI_CONFIG: Final = "oci-config.json"
"""Beside a model's files: the documents that a registry keeps of it, byte by byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A model of the catalogue, whole on the disk.

    Attributes:
        identity: Its manifest's digest, "sha256:…": Docker Model Runner's model ID.
        tags: References that lead to it, as `references.normalize` writes them; may be empty.
        created: When it was packaged; if nobody says, when it came. Seconds since the epoch.
        artifact: What it is.
        folder: Where its files are.
    """

    identity: str
    tags: tuple[str, ...]
    created: float
    artifact: Artifact
    folder: Path

    @property
    def weights(self) -> Path:
        """The model's file; of several shards the first."""
        return self.folder / self.artifact.files[0].path

    @property
    def projector(self) -> Path | None:
        """The file of the multimodal projector."""
        return self._beside(FileKind.PROJECTOR)

    @property
    def chat_template(self) -> Path | None:
        """The file of the chat template, if the model does not have it inside."""
        return self._beside(FileKind.CHAT_TEMPLATE)

    def _beside(self, kind: FileKind) -> Path | None:
        names = (file.path for file in self.artifact.files if file.kind is kind)
        return next((self.folder / name for name in names), None)


def document_path(folder: Path, identity: str, name: str) -> Path:
    """Where a model has one of its documents. No file of an artifact may have such a name.

    Models with equal files share a folder, and each has documents of its own.
    """
    digits = identity.partition(":")[2]
    path = folder / f".{digits}.{name}"
    before = folder / f".{name}"
    # As servers wrote it whose models had a folder each.
    return before if before.exists() and not path.exists() else path
