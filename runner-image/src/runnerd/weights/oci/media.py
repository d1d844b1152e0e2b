"""Media types and annotations of model artifacts.

Source: docker/model-runner `pkg/distribution/types/config.go` and `modelpack/types.go`; the CNCF
model-spec, `specs-go/v1/mediatype.go` and `annotations.go`; the OCI image-spec; ollama/ollama
`manifest/layer.go` and `server/images.go`.
"""

from collections.abc import Mapping
from typing import Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS: Final = frozenset({MANIFEST, _DOCKER_MANIFEST})
INDEXES: Final = frozenset({INDEX, _DOCKER_LIST})

CONFIG_V1: Final = "application/vnd.docker.ai.model.config.v0.1+json"
CONFIG_V2: Final = "application/vnd.docker.ai.model.config.v0.2+json"
_CONFIG_CNCF: Final = "application/vnd.cncf.model.config.v1+json"
CONFIGS: Final = frozenset({CONFIG_V1, CONFIG_V2, _CONFIG_CNCF})

CONFIG_OLLAMA: Final = "application/vnd.docker.container.image.v1+json"
"""That of a container image: only its layers tell that an artifact is one of Ollama's."""

OLLAMA: Final = "application/vnd.ollama.image."
"""With what the media types of Ollama's layers begin."""

GGUF: Final = "application/vnd.docker.ai.gguf.v3"
PROJECTOR: Final = "application/vnd.docker.ai.mmproj"
CHAT_TEMPLATE: Final = "application/vnd.docker.ai.chat.template.jinja"
LICENSE: Final = "application/vnd.docker.ai.license"

TENSORS: Final = "application/vnd.docker.ai.safetensors"
MODEL_FILE: Final = "application/vnd.docker.ai.model.file"
"""Any file that lies beside safetensors; its path annotation says which."""

GGUFS: Final = frozenset({GGUF, "application/vnd.cncf.model.weight.v1.gguf", f"{OLLAMA}model"})
PROJECTORS: Final = frozenset(
    {PROJECTOR, "application/vnd.docker.ai.gguf.v3.mmproj", f"{OLLAMA}projector"}
)
LICENSES: Final = frozenset({LICENSE, f"{OLLAMA}license"})
SAFETENSORS: Final = frozenset({TENSORS, "application/vnd.cncf.model.weight.v1.safetensors"})
FILES_BESIDE: Final = frozenset({MODEL_FILE, "application/vnd.cncf.model.weight.config.v1.raw"})
CONFIG_ARCHIVE: Final = "application/vnd.docker.ai.vllm.config.tar"
"""What lies beside safetensors, all in one, as older tools packaged it."""
RAW_WEIGHTS: Final = "application/vnd.cncf.model.weight.v1.raw"
"""Weights whose format their file's name tells, or the config."""

REFUSED: Final = {
    "application/vnd.docker.ai.dduf": "a DDUF file",
    "application/vnd.docker.ai.gguf.v3.lora": "a LoRA adapter",
    f"{OLLAMA}adapter": "a LoRA adapter",
    f"{OLLAMA}tensor": "single tensors for Ollama's own engine",
    "application/vnd.cncf.model.weight.v1.tar": "weights in a tar archive",
    "application/vnd.cncf.model.weight.v1.tar+gzip": "weights in a compressed archive",
    "application/vnd.cncf.model.weight.v1.tar+zstd": "weights in a compressed archive",
}
"""Layers without which a model would be another one, and what they are."""

_DOCUMENTS: Final = ("weight.config", "doc", "code", "dataset")
LEFT_OUT: Final = frozenset(
    {
        CONFIG_ARCHIVE,
        "application/vnd.docker.ai.dir.tar",
        MODEL_FILE,
        *(f"{OLLAMA}{kind}" for kind in ("template", "params", "system", "messages", "prompt")),
        *(
            f"application/vnd.cncf.model.{kind}.v1.{form}"
            for kind in _DOCUMENTS
            for form in ("raw", "tar", "tar+gzip", "tar+zstd")
        ),
    }
)
"""Layers that a GGUF model runs without: they are not downloaded. Among them Ollama's template,
which is in Go's language, while the engine uses the GGUF's own, and its parameters."""

FILE_PATH: Final = "org.cncf.model.filepath"
FILE_METADATA: Final = "org.cncf.model.file.metadata+json"


def base_name(annotations: Mapping[str, str]) -> str:
    """The last part of the path that a layer's annotations tell, "" without one."""
    return annotations.get(FILE_PATH, "").replace("\\", "/").rpartition("/")[2]
