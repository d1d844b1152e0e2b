"""The source of a Model object, as artifact keys know it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from modelrunner_protocol.codec import WireError, from_dict
from modelrunner_protocol.references import normalize
from modelrunner_protocol.sources import artifact_key
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


def keys_of_models(found: Any) -> set[str]:
    """The keys that Models want: of what their specs name, and of the versions that they run.

    Args:
        found: From JSON: a Model, or a list of them as `kubectl get models -o json` prints it.

    Raises:
        ValueError: one of them cannot be read; nobody knows then what it wants.
    """
    models = found.get("items", [found]) if isinstance(found, Mapping) else None
    if not isinstance(models, list):
        raise ValueError(  # noqa: TRY004  # what JSON holds is a value, whatever its type
            "these are no Models: give what kubectl get models -A -o json prints"
        )
    keys: set[str] = set()
    for model in models:
        spec = model.get("spec") if isinstance(model, Mapping) else None
        source = spec.get("source") if isinstance(spec, Mapping) else None
        if isinstance(source, Mapping) and "persistentVolumeClaim" in source:
            continue
        keys.add(artifact_key(source_of_spec(model)))
        told = model.get("status") or {}
        pinned = told.get("source") if isinstance(told, Mapping) else None
        if isinstance(pinned, Mapping):
            # While a new version rolls out, pods still read the one before.
            older = pinned.get("superseded")
            told_keys = [pinned.get("key"), *(older if isinstance(older, list) else [])]
            keys.update(key for key in told_keys if isinstance(key, str))
    return keys


def _written(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    """The one spelling of what may be spelled in several ways."""
    if kind == "oci" and isinstance(told.get("reference"), str):
        told["reference"] = normalize(told["reference"])
    if isinstance(told.get("quantization"), str):
        told["quantization"] = told["quantization"].upper()
    if kind in _BUCKETS and isinstance(told.get("endpoint"), str):
        told["endpoint"] = told["endpoint"].rstrip("/")
    return told
