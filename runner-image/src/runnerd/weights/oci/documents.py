"""Manifests, indexes and configs, which strangers wrote: bounded and checked, never trusted."""

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelrunner_protocol.wire import Artifact
from runnerd.weights.bounded_json import UnreadableError, read_object
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.oci import media

LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a manifest or a config; registries refuse longer manifests, too."""

_MOST_LAYERS: Final = 1000
_LARGEST: Final = 16 << 40
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a document says of another: `digest` is "sha256:<hex>", `size` is bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    platform: str = ""

    @property
    def sha256(self) -> str:
        """The digest's hexadecimal digits."""
        return self.digest.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Manifest:
    """An artifact: what it is, and its parts."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


def digest_of(data: bytes) -> str:
    """The digest of a document."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_manifest(data: bytes, media_type: str, where: str) -> Manifest | tuple[Descriptor, ...]:
    """A manifest, or the manifests that an index names.

    Args:
        data: As it was sent.
        media_type: As it was sent; what the document itself says counts more.
        where: The artifact in words.

    Raises:
        WeightsError: neither, or one that cannot be right.
    """
    found = _object(data, f"the manifest of {where}")
    told = found.get("mediaType")
    kind = told if isinstance(told, str) else media_type.partition(";")[0].strip()
    if found.get("schemaVersion") != 2:
        raise unsupported(
            f"the manifest of {where} is of schema version {found.get('schemaVersion')!r:.20}; "
            "a model's has version 2: push it again with a newer tool"
        )
    if kind in media.INDEXES or (kind not in media.MANIFESTS and "manifests" in found):
        return _descriptors(found.get("manifests"), where)
    config = _descriptor(found.get("config"), where)
    layers = _descriptors(found.get("layers"), where)
    if sum(layer.size for layer in layers) > _LARGEST:
        raise unsupported(f"the manifest of {where} announces more than 16 TiB: it cannot be right")
    return Manifest(config, layers)


def choose(manifests: tuple[Descriptor, ...], where: str) -> Descriptor:
    """The one model that an index holds.

    Raises:
        WeightsError: none, or several between which nothing decides.
    """
    # "unknown/unknown" are attestations beside what they attest.
    found = [
        one
        for one in manifests
        if one.media_type in media.MANIFESTS and not one.platform.startswith("unknown")
    ]
    if len(found) > 1:
        found = [one for one in found if one.artifact_type in _MODEL_TYPES] or found
    found = list({one.digest: one for one in found}.values())
    if not found:
        raise unsupported(
            f"{where} is an index that names no artifact: push the model itself under this name"
        )
    if len(found) != 1:
        raise unsupported(
            f"{where} is an index of {len(found)} artifacts: name one of them by its digest "
            f"({', '.join(one.digest for one in found[:5])})"
        )
    return found[0]


_MODEL_TYPES: Final = frozenset({*media.CONFIGS, "application/vnd.cncf.model.manifest.v1+json"})


@dataclass(frozen=True, slots=True)
class Config:
    """What an artifact's config says of the model; "" and None for what it does not say."""

    format: str
    parameters: str
    architecture: str = ""
    context_size: int | None = None

    def completing(self, artifact: Artifact) -> Artifact:
        """The artifact, with what its files did not tell."""
        return replace(
            artifact,
            architecture=artifact.architecture or self.architecture,
            context_size=artifact.context_size or self.context_size,
        )


def read_config(data: bytes, where: str) -> Config:
    """The config of a model, in Docker's or CNCF's shape.

    Raises:
        WeightsError: not JSON, or not an object.
    """
    found = _object(data, f"the config of {where}")
    inner = found.get("config")
    inner = inner if isinstance(inner, dict) else {}
    context = inner.get("context_size")
    known = type(context) is int and 0 < context < 1 << 31
    return Config(
        format=_word(inner.get("format")).lower(),
        parameters=_word(inner.get("parameters")) or _word(inner.get("paramSize")),
        architecture=_word(inner.get("architecture")),
        context_size=context if known else None,
    )


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text if len(text) <= 32 and text.isascii() and text.isprintable() else ""


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(data)
    except UnreadableError as error:
        raise unsupported(f"{what} {error}") from error


def _descriptors(found: Any, where: str) -> tuple[Descriptor, ...]:
    if not isinstance(found, list) or len(found) > _MOST_LAYERS:
        count = f"{len(found)} entries" if isinstance(found, list) else "no list"
        raise unsupported(
            f"the manifest of {where} has {count} where at most {_MOST_LAYERS} layers are expected"
        )
    return tuple(_descriptor(one, where) for one in found)


def _descriptor(found: Any, where: str) -> Descriptor:
    try:
        kind, digest, size = found["mediaType"], found["digest"], found["size"]
    except (TypeError, LookupError) as error:
        raise unsupported(f"the manifest of {where} has a layer without type or digest") from error
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise unsupported(f"the manifest of {where} has a digest that is not a sha256")
    if type(size) is not int or not 0 <= size <= _LARGEST or not isinstance(kind, str):
        raise unsupported(f"the manifest of {where} has a layer of {size!r:.30} bytes")
    return Descriptor(
        media_type=kind,
        digest=digest,
        size=size,
        annotations=_texts(found.get("annotations")),
        artifact_type=str(found.get("artifactType") or ""),
        platform=_platform(found.get("platform")),
    )


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _platform(found: Any) -> str:
    if not isinstance(found, dict):
        return ""
    return f"{found.get('os', '')}/{found.get('architecture', '')}"


def checked(data: bytes, digest: str, what: str) -> bytes:
    """A document, if it is the one that was asked for.

    Raises:
        WeightsError: its digest differs.
    """
    if digest_of(data) != digest:
        raise WeightsError(
            f"{what} has the digest {digest_of(data)} instead of {digest}: the registry, or a proxy "
            "before it, is damaged; push the artifact again if it stays so",
            retryable=True,
        )
    return data
