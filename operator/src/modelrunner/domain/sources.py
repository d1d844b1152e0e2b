"""A Model's source as runners and artifact keys know it."""

from typing import Any

from modelrunner.api.v1alpha1 import AzureSource as AzureSpec
from modelrunner.api.v1alpha1 import GcsSource as GcsSpec
from modelrunner.api.v1alpha1 import HuggingFaceSource as RepositorySpec
from modelrunner.api.v1alpha1 import ModelSource
from modelrunner.api.v1alpha1 import S3Source as S3Spec
from modelrunner_protocol.references import normalize
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


def wire_source(source: ModelSource) -> Source:
    """The source as runners and artifact keys know it."""
    if source.http is not None:
        return Source(http=HttpSource(url=source.http.url, sha256=source.http.sha256 or ""))
    if source.oci is not None:
        # Spellings of one name share one cache entry.
        reference = normalize(source.oci.reference)
        return Source(oci=OciSource(reference=reference, insecure=bool(source.oci.insecure)))
    if source.hugging_face is not None:
        return Source(hugging_face=_repository(source.hugging_face))
    if (claim := source.persistent_volume_claim) is not None:
        return Source(claim=ClaimSource(claim=claim.name, path=claim.path))
    return Source(
        s3=_s3(source.s3) if source.s3 else None,
        gcs=_gcs(source.gcs) if source.gcs else None,
        azure=_azure(source.azure) if source.azure else None,
    )


def _repository(found: RepositorySpec) -> HuggingFaceSource:
    return HuggingFaceSource(
        repository=found.repository,
        revision=found.revision or "",
        # The Hub's files are found in either case: one spelling for one cache entry.
        quantization=(found.quantization or "").upper(),
        files=tuple(found.files or ()),
        ignored=tuple(found.ignored_files or ()),
    )


def _s3(found: S3Spec) -> S3Source:
    return S3Source(bucket=found.bucket, region=found.region or "", **_bucket(found))


def _gcs(found: GcsSpec) -> GcsSource:
    return GcsSource(bucket=found.bucket, **_bucket(found))


def _azure(found: AzureSpec) -> AzureSource:
    return AzureSource(account=found.account, container=found.container, **_bucket(found))


def _bucket(found: S3Spec | GcsSpec | AzureSpec) -> dict[str, Any]:
    """What buckets of all stores have."""
    return {
        "prefix": found.prefix or "",
        "endpoint": (found.endpoint or "").rstrip("/"),
        "insecure": bool(found.insecure),
        "quantization": (found.quantization or "").upper(),
        "files": tuple(found.files or ()),
        "ignored": tuple(found.ignored_files or ()),
    }
