"""Media types and annotations of model artifacts.

Source: docker/model-runner `pkg/distribution/types/config.go` and `modelpack/types.go`; the CNCF
model-spec, `specs-go/v1/mediatype.go` and `annotations.go`; the OCI image-spec.
"""

from typing import Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS: Final = frozenset({MANIFEST, _DOCKER_MANIFEST})
INDEXES: Final = frozenset({INDEX, _DOCKER_LIST})

CONFIG_V1: Final = "application/vnd.docker.ai.model.config.v0.1+json"
_CONFIG_V2: Final = "application/vnd.docker.ai.model.config.v0.2+json"
_CONFIG_CNCF: Final = "application/vnd.cncf.model.config.v1+json"
CONFIGS: Final = frozenset({CONFIG_V1, _CONFIG_V2, _CONFIG_CNCF})

GGUF: Final = "application/vnd.docker.ai.gguf.v3"
PROJECTOR: Final = "application/vnd.docker.ai.mmproj"
CHAT_TEMPLATE: Final = "application/vnd.docker.ai.chat.template.jinja"
LICENSE: Final = "application/vnd.docker.ai.license"

GGUFS: Final = frozenset({GGUF, "application/vnd.cncf.model.weight.v1.gguf"})
PROJECTORS: Final = frozenset({PROJECTOR, "application/vnd.docker.ai.gguf.v3.mmproj"})
SAFETENSORS: Final = frozenset(
    {"application/vnd.docker.ai.safetensors", "application/vnd.cncf.model.weight.v1.safetensors"}
)
RAW_WEIGHTS: Final = "application/vnd.cncf.model.weight.v1.raw"
"""Weights whose format their file's name tells, or the config."""

REFUSED: Final = {
    "application/vnd.docker.ai.dduf": "a DDUF file",
    "application/vnd.docker.ai.gguf.v3.lora": "a LoRA adapter",
    "application/vnd.cncf.model.weight.v1.tar": "weights in a tar archive",
    "application/vnd.cncf.model.weight.v1.tar+gzip": "weights in a compressed archive",
    "application/vnd.cncf.model.weight.v1.tar+zstd": "weights in a compressed archive",
}
"""Layers without which a model would be another one, and what they are."""

_DOCUMENTS: Final = ("weight.config", "doc", "code", "dataset")
LEFT_OUT: Final = frozenset(
    {
        "application/vnd.docker.ai.vllm.config.tar",
        "application/vnd.docker.ai.dir.tar",
        "application/vnd.docker.ai.model.file",
        *(
            f"application/vnd.cncf.model.{kind}.v1.{form}"
            for kind in _DOCUMENTS
            for form in ("raw", "tar", "tar+gzip", "tar+zstd")
        ),
    }
)
"""Layers that a GGUF model runs without: they are not downloaded."""

FILE_PATH: Final = "org.cncf.model.filepath"
FILE_METADATA: Final = "org.cncf.model.file.metadata+json"
