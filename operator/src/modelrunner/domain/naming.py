"""Names, labels and annotations of everything the operator creates.

Names are derived, never generated, so that an operator without memory finds its objects again.
"""

import hashlib
from typing import Final

GROUP: Final = "modelrunner.dev"

MANAGED_BY: Final = "model-runner-operator"
"""Value of the managed-by label, and field manager of everything that is applied."""

FIELD_MANAGER: Final = MANAGED_BY

NAME_LABEL: Final = "app.kubernetes.io/name"
NAME_VALUE: Final = "model-runner"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MODEL_LABEL: Final = f"{GROUP}/model"
RUNNER_LABEL: Final = f"{GROUP}/runner"
ARTIFACT_LABEL: Final = f"{GROUP}/artifact"

COMPONENT_RUNNER: Final = "runner"
COMPONENT_PULL: Final = "pull"
COMPONENT_RESOLVE: Final = "resolve"
COMPONENT_VERIFY: Final = "verify"
COMPONENT_CACHE: Final = "cache"
COMPONENT_METRICS: Final = "metrics"

ARTIFACT_ANNOTATION: Final = f"{GROUP}/artifact"
"""On a claim or Deployment: the `Artifact` it holds or serves, as JSON."""

ARTIFACT_KEY_ANNOTATION: Final = f"{GROUP}/artifact-key"
"""On a Deployment: the key of the artifact it serves."""

COMPLETE_ANNOTATION: Final = f"{GROUP}/complete"
"""On a claim: "true" once its pull has succeeded."""

SOURCE_KEY_LABEL: Final = f"{GROUP}/source-key"
"""On a claim or Job: the key of the source whose version it holds."""

SOURCE_KEY_ANNOTATION: Final = f"{GROUP}/source-key"
"""The same on a Deployment that serves a later version than the first."""

REFRESH_ANNOTATION: Final = f"{GROUP}/refresh"
"""On a Model: any new value asks for one look at whether its source has moved. On a resolve Job:
the value that it answers; it is there, if only empty, on all Jobs that look whether one has.
"""

UNUSED_ANNOTATION: Final = f"{GROUP}/unused-since"
"""On a claim that nobody uses: since when. Whoever uses it takes this away first."""

UPKEEP_MANAGER: Final = f"{MANAGED_BY}-upkeep"
"""Field manager of that annotation: an apply by the other one leaves it as it is."""

SOURCE_ANNOTATION: Final = f"{GROUP}/source"
INPUTS_ANNOTATION: Final = f"{GROUP}/inputs"
"""Hash of what users wrote: another value means that they want other pods."""

VOLUMES_ANNOTATION: Final = f"{GROUP}/volumes"
"""On a Deployment: the claims of its pods, and from where each can be mounted."""

CLAIM_UID_ANNOTATION: Final = f"{GROUP}/claim-uid"
"""On a Deployment: the claim of users on which its weights were found. Another one of that name
proves nothing."""

RENDERED_ANNOTATION: Final = f"{GROUP}/rendered"
"""Hash of the whole desired object."""

ATTEMPT_ANNOTATION: Final = f"{GROUP}/attempt"
"""On a Job: how often the same work was tried, from 1."""

VERIFY_ANNOTATION: Final = f"{GROUP}/verify"
"""On a Model: another value asks to verify its cache. On a Job: the value that it answers to."""

RENEWED_ANNOTATION: Final = f"{GROUP}/renewed"
"""On a claim: its files were pulled once more, after damage or a deletion. On pods: since which
renewal they are made."""

GROWN_ANNOTATION: Final = f"{GROUP}/grown"
"""On a claim that is being filled: how often it has grown since pulls found it too small."""

CLAIM_BYTES_ANNOTATION: Final = f"{GROUP}/claim-bytes"
"""On a pull Job: the size of the claim that it was made for."""

DELETION_COST_ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
"""Kubernetes' own: of two running pods, the one that costs less goes first."""

FIRST_TO_GO: Final = "-1000"
"""Deletion cost of a runner that has been drained; absent counts as 0."""

RUNNER_CONTAINER: Final = "runner"
RESERVED_PREFIXES: Final = (f"{GROUP}/", "app.kubernetes.io/")
"""Labels and annotations below these are the operator's."""


def claim_name(key: str) -> str:
    """The cache claim of an artifact."""
    return f"model-cache-{key}"


def cache_label(claim: str) -> str:
    """The label of pods that mount a claim which one node alone can mount."""
    return f"{GROUP}/cache-{_short(claim)}"


def resolve_job_name(key: str, shared_claim: str | None = None) -> str:
    """The Job that finds out what a source holds, or whether a shared claim has it already."""
    return f"resolve-{key}-{_short(shared_claim)}" if shared_claim else f"resolve-{key}"


def refresh_job_name(source_key: str) -> str:
    """The Job that looks whether a source has moved."""
    return f"refresh-{source_key}"


def pull_job_name(key: str, shared_claim: str | None = None) -> str:
    """The Job that fills a cache; each shared claim has a pull of its own."""
    return f"pull-{key}-{_short(shared_claim)}" if shared_claim else f"pull-{key}"


def verify_job_name(model: str, key: str) -> str:
    """The Job that verifies the cache of one Model."""
    return f"verify-{key}-{_short(model)}"


def monitor_name(runner: str) -> str:
    """The ServiceMonitor of a ModelRunner; shortened where the name would not be allowed."""
    name = f"model-runner-{runner}"
    return name if len(name) <= 253 else f"{name[:244]}-{_short(runner)}"


def base_labels(component: str) -> dict[str, str]:
    """The labels that every child carries."""
    return {
        NAME_LABEL: NAME_VALUE,
        COMPONENT_LABEL: component,
        MANAGED_BY_LABEL: MANAGED_BY,
    }


def pod_selector(model: str) -> dict[str, str]:
    """What a Deployment's selector says; it is immutable."""
    return {NAME_LABEL: NAME_VALUE, MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: model}


def service_selector(model: str) -> dict[str, str]:
    """What a Service's selector says: pods of a Model's Jobs are none of its runners."""
    return pod_selector(model) | {COMPONENT_LABEL: COMPONENT_RUNNER}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
