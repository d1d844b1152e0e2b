"""Identity of an artifact: equal sources share one cache entry."""

import hashlib
import re
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from modelrunner_protocol.codec import encode, to_dict
from modelrunner_protocol.references import locate, normalize
from modelrunner_protocol.wire import (
    AzureSource,
    ClaimSource,
    GcsSource,
    HttpSource,
    HuggingFaceSource,
    OciSource,
    S3Source,
    Source,
)

Bucket: TypeAlias = S3Source | GcsSource | AzureSource
"""A source that is a bucket, of whatever store."""

KEY_LENGTH: Final = 16
MANIFEST: Final = "manifest.json"
"""The file beside the weights that says what they are; written last."""

_HUB: Final = re.compile(r"(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_NAME: Final = "[A-Za-z0-9_][A-Za-z0-9._-]{0,95}"
_REPOSITORY: Final = re.compile(rf"({_NAME}/{_NAME})(?::([A-Za-z0-9][A-Za-z0-9_-]{{0,63}}))?")
_STORE: Final = re.compile(r"(s3|gs|az)://(.*)", re.DOTALL)
_S3_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_GCS_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_AZURE_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
_AZURE_CONTAINER: Final = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$(root|web)")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def artifact_key(source: Source) -> str:
    """16 hex digits that equal sources share: the name of the artifact's folder and claim."""
    return hashlib.sha256(encode(source).encode()).hexdigest()[:KEY_LENGTH]


def source_kind(source: Source) -> str:
    """The kind of a source as a Model's spec names it: `oci`, `huggingFace`, `s3`, `http`, …."""
    kind = next(iter(to_dict(source)), "")
    return "persistentVolumeClaim" if kind == "claim" else kind


def file_name(source: HttpSource) -> str:
    """The name under which an http source's file is kept: its last path segment, made safe."""
    last = unquote(_split(source.url).path).rpartition("/")[2]
    name = _UNSAFE.sub("-", last)[-128:].lstrip(".-")
    return "model.gguf" if name in {"", MANIFEST} else name


def parse_source(text: str, *, insecure: bool = False) -> Source:
    """The source that people write as one word, as clients send it and command lines have it.

    `https://host/file.gguf` is a file, `hf.co/owner/name:Q4_K_M` (or `huggingface.co/…`) a
    repository of the Hub with a quantization, `s3://bucket/prefix`, `gs://bucket/prefix` and
    `az://account/container/prefix` a bucket of S3, Google Cloud Storage and Azure, anything else an
    artifact in a registry.

    Args:
        text: The word.
        insecure: Whether a registry or a store is spoken to over plain http.

    Raises:
        ValueError: it is none of these; the message says why.
    """
    if not text.isprintable():
        raise ValueError(f"{text[:80]!r} holds signs that no source has")
    if text.startswith(("http://", "https://")):
        if not _split(text).netloc:
            raise ValueError(f"{describe_url(text)} is not the address of a file")
        return Source(http=HttpSource(url=text))
    if (found := _HUB.match(text)) is not None:
        return Source(hugging_face=_repository(unquote(text[found.end() :])))
    if (found := _STORE.fullmatch(text)) is not None:
        return _BUCKETS[found[1]](found[2], insecure)
    locate(text)
    return Source(oci=OciSource(reference=normalize(text), insecure=insecure))


def _repository(text: str) -> HuggingFaceSource:
    # Not by `normalize`: the Hub's names keep their capitals.
    found = _REPOSITORY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is not a repository: write hf.co/owner/name:Q4_K_M")
    # Clients put this tag where they were given none.
    quantization = "" if found[2] in (None, "latest") else found[2].upper()
    return HuggingFaceSource(repository=found[1], quantization=quantization)


def _s3(text: str, insecure: bool) -> Source:
    bucket, _, prefix = text.partition("/")
    if _S3_BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"{bucket[:80]!r} is not a bucket: write s3://bucket/folder")
    return Source(s3=S3Source(bucket=bucket, prefix=prefix.strip("/"), insecure=insecure))


def _gcs(text: str, insecure: bool) -> Source:
    bucket, _, prefix = text.partition("/")
    if _GCS_BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"{bucket[:80]!r} is not a bucket: write gs://bucket/folder")
    return Source(gcs=GcsSource(bucket=bucket, prefix=prefix.strip("/"), insecure=insecure))


def _azure(text: str, insecure: bool) -> Source:
    account, _, rest = text.partition("/")
    container, _, prefix = rest.partition("/")
    for name, pattern, kind in (
        (account, _AZURE_ACCOUNT, "storage account"),
        (container, _AZURE_CONTAINER, "container"),
    ):
        if pattern.fullmatch(name) is None:
            raise ValueError(f"{name[:80]!r} is not a {kind}: write az://account/container/folder")
    prefix = prefix.strip("/")
    source = AzureSource(account=account, container=container, prefix=prefix, insecure=insecure)
    return Source(azure=source)


_BUCKETS: Final[dict[str, Callable[[str, bool], Source]]] = {"s3": _s3, "gs": _gcs, "az": _azure}


def describe(source: Source) -> str:
    """A source in words, without the query and user parts of a URL (they may hold secrets)."""
    if source.http is not None:
        return describe_url(source.http.url)
    if source.claim is not None:
        return describe_claim(source.claim)
    if source.oci is not None:
        return source.oci.reference
    if source.hugging_face is not None:
        return describe_hugging_face(source.hugging_face)
    if (bucket := bucket_of(source)) is not None:
        return describe_bucket(bucket)
    return "no source"


def bucket_of(source: Source) -> Bucket | None:
    """The bucket that a source names, of whatever store; None for other kinds."""
    return source.s3 or source.gcs or source.azure


def describe_url(url: str) -> str:
    """A URL without its user, query and fragment; never raises, whatever the text is."""
    parts = _split(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else "a URL without a host"


def describe_claim(source: ClaimSource) -> str:
    """A volume source in words."""
    return f"{source.path} on the PersistentVolumeClaim {source.claim}"


def describe_hugging_face(source: HuggingFaceSource) -> str:
    """A repository in words, as a reference names it: `hf.co/owner/name:Q4_K_M`."""
    name = f"hf.co/{source.repository}"
    if source.quantization:
        name += f":{source.quantization}"
    return f"{name} at {source.revision}" if source.revision else name


def describe_bucket(source: Bucket) -> str:
    """A bucket's model in words: `s3://bucket/folder:Q4_K_M at https://store.example.com`."""
    if isinstance(source, AzureSource):
        place = f"az://{source.account}/{source.container}"
    else:
        place = f"{'gs' if isinstance(source, GcsSource) else 's3'}://{source.bucket}"
    name = f"{place}/{source.prefix}"
    if source.quantization:
        name += f":{source.quantization}"
    return f"{name} at {describe_url(source.endpoint)}" if source.endpoint else name


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")
