"""Artifacts as a registry serves them, right ones and wrong ones: paths and their bytes."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

CONFIG_V1: Final = "application/vnd.docker.ai.model.config.v0.1+json"
CONFIG_V2: Final = "application/vnd.docker.ai.model.config.v0.2+json"
CONFIG_CNCF: Final = "application/vnd.cncf.model.config.v1+json"
GGUF: Final = "application/vnd.docker.ai.gguf.v3"
PATH: Final = "org.cncf.model.filepath"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"


def digest(data: bytes) -> str:
    """A digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    """What a document says of these bytes."""
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


@dataclass
class OciFiles:
    """One artifact, spelled out.

    Attributes:
        layers: (media type, content, path annotation or "").
        config: The config's content; the whole document, or its bytes.
        manifest: Replaces fields of the manifest.
        extra: More fields of each layer's descriptor.
    """

    layers: list[tuple[str, bytes, str]]
    config: dict[str, Any] | bytes = field(default_factory=lambda: {"config": {"format": "gguf"}})
    config_type: str = CONFIG_V1
    manifest: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    name: str = "team/model"
    tag: str = "v1"

    @property
    def config_bytes(self) -> bytes:
        """The config as it is served."""
        return self.config if isinstance(self.config, bytes) else json.dumps(self.config).encode()

    @property
    def manifest_bytes(self) -> bytes:
        """The manifest as it is served."""
        layers = [
            descriptor(kind, data) | ({"annotations": {PATH: path}} if path else {}) | self.extra
            for kind, data, path in self.layers
        ]
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(self.config_type, self.config_bytes),
                "layers": layers,
                **self.manifest,
            }
        ).encode()

    def path(self, data: bytes) -> str:
        """Where a blob is served."""
        return f"/v2/{self.name}/blobs/{digest(data)}"

    @property
    def tag_path(self) -> str:
        """Where the manifest is served under its tag."""
        return f"/v2/{self.name}/manifests/{self.tag}"

    def files(self) -> dict[str, bytes]:
        """Everything, by path, for `FileServer`."""
        blobs = [self.config_bytes, *(data for _, data, _ in self.layers)]
        manifest = self.manifest_bytes
        return {
            self.tag_path: manifest,
            f"/v2/{self.name}/manifests/{digest(manifest)}": manifest,
            **{self.path(data): data for data in blobs},
        }
