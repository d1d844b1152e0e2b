"""Hashes of objects: whether two are the same, however they are written down."""

import hashlib
import json
from typing import Any

from modelrunner.domain.naming import RENDERED_ANNOTATION


def digest(value: Any) -> str:
    """64 hex digits of any JSON value, the same for every order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(found: dict[str, Any]) -> dict[str, Any]:
    """The object with the hash of itself as an annotation.

    So a field that an operator no longer sets is noticed by an operator that never set it.
    """
    metadata = found["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations[RENDERED_ANNOTATION] = digest(found)
    return {**found, "metadata": {**metadata, "annotations": annotations}}
