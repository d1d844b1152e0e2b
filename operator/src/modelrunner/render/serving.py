"""The desired objects that serve a Model: its Deployment and its Service."""

import json
import math
from typing import Any, Final

from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim, owns_claim
from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.expressions import Variables, expand
from modelrunner.domain.objects import Object, annotation, uid_of
from modelrunner.domain.volumes import Mounts, Reach, asked_mode, mount, together
from modelrunner.render.common import Owner, constants, inert, model_labels
from modelrunner.render.documents import render
from modelrunner.render.engines import llamacpp
from modelrunner.render.hashing import digest, sealed
from modelrunner.render.overlay import lay_over
from modelrunner.render.placement import follow
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import (
    DRAFT_MOUNT,
    RUN_CONFIG_VARIABLE,
    Artifact,
)

DEADLINE_MARGIN: Final = 600
"""Seconds of a Deployment's progress deadline for what comes before the engine: node, image."""


GRACE_MARGIN: Final = 15
"""Seconds that a pod may take to end once its requests are drained."""


def deployment(
    effective: Effective,
    artifact: Artifact,
    defaults: OperatorDefaults,
    owner: Owner,
    draft: Draft | None = None,
    claim: Object | None = None,
    *,
    renewed: str = "",
) -> dict[str, Any]:
    """The Deployment of a Model, without `replicas`; the podTemplate is laid over it last.

    `claim` is the cache claim as it was looked at; None: it will be what the settings ask for.
    `renewed`: the mark of a cache that was filled once more, "" for one that was not.

    Raises:
        ExpressionError: Jinja in env or podTemplate that cannot be rendered.
        RenderError: a value that cannot be written.
    """
    variables = _variables(effective, artifact)
    labels = model_labels(effective, naming.COMPONENT_RUNNER)
    mounts = mounts_of(effective, claim, draft)
    found = render(
        "deployment",
        name=effective.name,
        namespace=effective.namespace,
        labels=labels,
        pod_labels=labels,
        annotations={
            naming.INPUTS_ANNOTATION: inputs(effective, artifact, draft, renewed),
            naming.VOLUMES_ANNOTATION: mounts.words,
            **_weights_served(effective, artifact, claim),
        },
        owners=[owner.reference(controller=True)],
        progress_deadline=math.ceil(effective.startup_timeout) + DEADLINE_MARGIN,
        grace_period=math.ceil(effective.drain_timeout) + GRACE_MARGIN,
        accelerated=effective.accelerator is not None,
        surges=effective.accelerator is None and mounts.reach is not Reach.POD,
        selector=naming.pod_selector(effective.name),
        image=effective.image or defaults.runner_image,
        image_pull_policy=defaults.image_pull_policy,
        env=_runner_env(effective, artifact, draft, variables),
        resources=_resources(effective),
        claim=cache_claim(effective),
        read_only=effective.in_place or mounts.cache.read_only,
        draft_claim=cache_claim(draft.settings) if draft else None,
        draft_mount=DRAFT_MOUNT,
        **constants(),
    )
    if marks := ",".join(filter(None, (renewed, _renewed(draft)))):
        found["spec"]["template"]["metadata"]["annotations"] = {naming.RENEWED_ANNOTATION: marks}
    found["spec"]["template"] = follow(_laid_over(effective, found, variables), mounts.tied)
    return sealed(found)


def _variables(effective: Effective, artifact: Artifact) -> Variables:
    return Variables(
        model=effective.name,
        namespace=effective.namespace,
        runner=effective.runner,
        format=artifact.format,
    )


def _weights_served(
    effective: Effective, artifact: Artifact, claim: Object | None
) -> dict[str, str]:
    """What a Deployment says of its weights: an operator without memory finds them by it.

    Also which claim of users has them; of our own the claim itself tells what it has.
    """
    uid = uid_of(claim) if claim is not None and not owns_claim(effective) else ""
    return {
        naming.ARTIFACT_KEY_ANNOTATION: effective.key,
        naming.ARTIFACT_ANNOTATION: encode(artifact),
        **_version(effective),
        **({naming.CLAIM_UID_ANNOTATION: uid} if uid else {}),
    }


def _renewed(draft: Draft | None) -> str:
    claim = draft.claim if draft is not None else None
    return annotation(claim, naming.RENEWED_ANNOTATION) if claim is not None else ""


def _laid_over(effective: Effective, found: dict[str, Any], variables: Variables) -> dict[str, Any]:
    """The pod template with what users wrote laid over it."""
    template = found["spec"]["template"]
    template["spec"] |= effective.scheduling
    overlay = expand(effective.pod_template, variables, "spec.podTemplate")
    return lay_over(template, overlay)


def mounts_of(effective: Effective, claim: Object | None, draft: Draft | None = None) -> Mounts:
    """The claims of a runner, as they were looked at."""
    theirs = None
    if draft is not None:
        settings = draft.settings
        theirs = mount(cache_claim(settings), draft.claim, asked_mode(settings))
    return together(mount(cache_claim(effective), claim, asked_mode(effective)), theirs)


def service(effective: Effective, owner: Owner) -> dict[str, Any]:
    """The Service of a Model: port 80 to its runners."""
    found = render(
        "service",
        name=effective.name,
        namespace=effective.namespace,
        labels=model_labels(effective, naming.COMPONENT_RUNNER),
        annotations={},
        owners=[owner.reference(controller=True)],
        selector=naming.service_selector(effective.name),
        **constants(),
    )
    return sealed(found)


def inputs(
    effective: Effective, artifact: Artifact, draft: Draft | None = None, renewed: str = ""
) -> str:
    """Hash of what users wrote, and of the weights: another value means other pods."""
    found: dict[str, Any] = {"written": effective.written, "weights": _weights(artifact)}
    if effective.key != effective.source_key:
        # Elsewhere, even where the weights should be equal.
        found["version"] = effective.key
    if draft is not None:
        place = [cache_claim(draft.settings), draft.settings.key]
        found["draft"] = [*place, *_weights(draft.artifact), *filter(None, [_renewed(draft)])]
    if renewed:
        found["renewed"] = renewed
    return digest(found)


def _version(effective: Effective) -> dict[str, str]:
    """Of which source it is a version; a first version is called like its source."""
    first = effective.key == effective.source_key
    return {} if first else {naming.SOURCE_KEY_ANNOTATION: effective.source_key}


def _weights(artifact: Artifact) -> list[Any]:
    return [artifact.digest, *((file.path, file.size_bytes) for file in artifact.files)]


def _runner_env(
    effective: Effective, artifact: Artifact, draft: Draft | None, variables: Variables
) -> list[dict[str, Any]]:
    config = inert(encode(llamacpp.run_config(effective, artifact, draft)))
    own = {"name": RUN_CONFIG_VARIABLE, "value": config}
    return [own, *expand(effective.env, variables, "spec.env")]


def _resources(effective: Effective) -> dict[str, Any]:
    found = json.loads(json.dumps(effective.resources))
    if effective.accelerator is not None:
        resource, count = effective.accelerator
        found.setdefault("limits", {})[resource] = str(count)
    return dict(found)
