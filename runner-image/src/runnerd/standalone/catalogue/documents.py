"""What is read out of a registry's documents of a stored model."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runnerd.standalone.catalogue.stored import OCI_CONFIG, OCI_MANIFEST, document_path
from runnerd.weights.durable import sync_folder, write_file
from runnerd.weights.oci.documents import digest_of


def write_documents(folder: Path, manifest: bytes, config: bytes) -> None:
    """Put them beside the files of a model; others may do the same at the same time."""
    identity = digest_of(manifest)
    for name, content in ((OCI_CONFIG, config), (OCI_MANIFEST, manifest)):
        path = document_path(folder, identity, name)
        # A name that nobody else writes to.
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        write_file(draft, content)
        draft.rename(path)
    sync_folder(folder)


def read_documents(folder: Path, identity: str) -> tuple[bytes, bytes] | None:
    """(manifest, config); None when they are not there, or not those of this model."""
    try:
        manifest = document_path(folder, identity, OCI_MANIFEST).read_bytes()
        config = document_path(folder, identity, OCI_CONFIG).read_bytes()
    except OSError:
        return None
    wanted = _object(manifest).get("config")
    named = wanted.get("digest") if isinstance(wanted, dict) else None
    right = digest_of(manifest) == identity and digest_of(config) == named
    return (manifest, config) if right else None


def created_in(config: bytes) -> float:
    """When a model was packaged, in seconds since the epoch; 0 when the config does not say."""
    descriptor = _object(config).get("descriptor")
    text = descriptor.get("created") if isinstance(descriptor, dict) else None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return max(0.0, (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
