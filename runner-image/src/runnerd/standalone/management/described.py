"""What is told of a model of the catalogue."""

import json
from collections.abc import Mapping
from pathlib import Path

from modelrunner_protocol.dmr import Model
from runnerd.standalone.catalogue.stored import OCI_CONFIG, Stored, document_path


def described(stored: Stored) -> Model:
    """For the lists. Reads a small file."""
    artifact = stored.artifact
    return Model(
        identity=stored.identity,
        tags=stored.tags,
        created=stored.created,
        format=artifact.format,
        architecture=artifact.architecture,
        parameters=artifact.parameters,
        quantization=artifact.quantization,
        size=artifact.size_bytes,
        context_size=artifact.context_size,
        memory=artifact.memory_bytes,
        metadata=_metadata(document_path(stored.folder, stored.identity, OCI_CONFIG)),
    )


def _metadata(document: Path) -> Mapping[str, str]:
    """What the one who packaged a model noted of its GGUF header; often nothing."""
    try:
        found = json.loads(document.read_bytes())["config"]["gguf"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
