"""The source of a Model object, as artifact keys know it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from modelrunner_protocol.codec import WireError, from_dict
from modelrunner_protocol.references import normalize
from modelrunner_protocol.wire import Source

_NOT_OF_THE_KEY: Final = frozenset({"credentialsSecret", "refresh"})
_RENAMED: Final = {"ignoredFiles": "ignored"}
_BUCKETS: Final = ("s3", "gcs", "azure")


def source_of_spec(found: Any) -> Source:
    """Read a Model, or its `spec.source`, as the operator reads it.

    Args:
        found: From JSON.

    Raises:
        ValueError: there is no source that can be pulled, or it cannot be read.
    """
    if isinstance(found, Mapping) and isinstance(found.get("spec"), Mapping):
        found = found["spec"].get("source")
    places = found.items() if isinstance(found, Mapping) else ()
    kinds = {kind: dict(one) for kind, one in places if isinstance(one, Mapping)}
    if not kinds:
        raise ValueError("there is no spec.source in it: give a Model, or its spec.source, as JSON")
    if len(kinds) != 1 or "persistentVolumeClaim" in kinds:
        raise ValueError("a source names one place that can be pulled from: oci, huggingFace, …")
    ((kind, fields),) = kinds.items()
    told = {
        _RENAMED.get(name, name): value
        for name, value in fields.items()
        if name not in _NOT_OF_THE_KEY and value is not None
    }
    try:
        return from_dict(Source, {kind: _written(kind, told)}, "source")
    except WireError as error:
        raise ValueError(str(error)) from error


def _written(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    """The one spelling of what may be spelled in several ways."""
    if kind == "oci" and isinstance(told.get("reference"), str):
        told["reference"] = normalize(told["reference"])
    if isinstance(told.get("quantization"), str):
        told["quantization"] = told["quantization"].upper()
    if kind in _BUCKETS and isinstance(told.get("endpoint"), str):
        told["endpoint"] = told["endpoint"].rstrip("/")
    return told
