"""The desired cache claim of an artifact."""

from collections.abc import Sequence
from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.effective import Effective
from modelrunner.domain.growth import growths_with
from modelrunner.domain.objects import Object, dig, label, text
from modelrunner.domain.sizing import request_of
from modelrunner.render.common import Owner
from modelrunner.render.documents import render
from modelrunner.render.hashing import sealed
from modelrunner_protocol.codec import encode
from modelrunner_protocol.sources import describe
from modelrunner_protocol.wire import (
    Artifact,
)


def claim(
    effective: Effective,
    artifact: Artifact,
    owners: Sequence[Owner],
    observed: Object | None,
    *,
    complete: bool,
    at_least: int = 0,
    renewed: str = "",
) -> dict[str, Any]:
    """The cache claim of an artifact.

    Of a claim that exists, what cannot change is repeated as it is: to server-side apply a field
    that is left out is a field to remove. `owners` is empty for claims that outlive their Models.
    `at_least`: bytes that a pull has found to be needed. `renewed`: see RENEWED_ANNOTATION.
    """
    spec = dig(observed, "spec") or {}
    cache = effective.cache
    annotations = {
        naming.ARTIFACT_ANNOTATION: encode(artifact),
        naming.SOURCE_ANNOTATION: describe(effective.source),
    }
    if renewed:
        annotations[naming.RENEWED_ANNOTATION] = renewed
    if complete:
        annotations[naming.COMPLETE_ANNOTATION] = "true"
    elif times := growths_with(observed, at_least):
        annotations[naming.GROWN_ANNOTATION] = str(times)
    granted = text(spec, "resources", "requests", "storage")
    found = render(
        "claim",
        name=naming.claim_name(effective.key),
        namespace=effective.namespace,
        labels=_labels(effective, observed),
        annotations=annotations,
        owners=[owner.reference(controller=False) for owner in owners],
        access_modes=dig(spec, "accessModes") or [str(cache.access_mode)],
        storage_class_name=dig(spec, "storageClassName") if spec else cache.storage_class_name,
        # Of a claim that has all its weights, more room is asked for on its own: it may be refused.
        storage=request_of(
            artifact.size_bytes,
            None if complete and granted else cache.size,
            granted,
            at_least=at_least,
        ),
    )
    return sealed(found)


def _labels(effective: Effective, observed: Object | None) -> dict[str, str]:
    """Whose Model made it is said once: Models of several ModelRunners may share it."""
    made_by = label(observed, naming.RUNNER_LABEL) if observed is not None else ""
    return naming.base_labels(naming.COMPONENT_CACHE) | {
        naming.ARTIFACT_LABEL: effective.key,
        naming.SOURCE_KEY_LABEL: effective.source_key,
        naming.RUNNER_LABEL: made_by or effective.runner,
    }
