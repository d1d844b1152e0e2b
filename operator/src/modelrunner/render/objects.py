"""The desired objects of a Model and of a ModelRunner, as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.v1alpha1 import API_VERSION
from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim
from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import Effective, MonitoringSettings, OperatorDefaults
from modelrunner.domain.expressions import Variables, expand
from modelrunner.domain.objects import Object, dig, text
from modelrunner.domain.sizing import request_of
from modelrunner.render.documents import render
from modelrunner.render.engines import llamacpp
from modelrunner.render.hashing import digest, sealed
from modelrunner.render.overlay import lay_over
from modelrunner_protocol.codec import encode
from modelrunner_protocol.sources import describe
from modelrunner_protocol.wire import (
    CACHE_MOUNT,
    CREDENTIALS_MOUNT,
    DRAFT_MOUNT,
    PORT,
    PORT_NAME,
    PULL_CONFIG_VARIABLE,
    RUN_CONFIG_VARIABLE,
    Artifact,
    Credentials,
    PullConfig,
)

DEADLINE_MARGIN: Final = 600
"""Seconds of a Deployment's progress deadline for what comes before the engine: node, image."""

GRACE_MARGIN: Final = 15
"""Seconds that a pod may take to end once its requests are drained."""

_JOB_SCHEDULING: Final = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "schedulerName",
)
# What of a podTemplate also holds for pods that fill the cache: identity, network and place.
_JOB_TEMPLATE: Final = (
    *_JOB_SCHEDULING,
    "imagePullSecrets",
    "serviceAccountName",
    "securityContext",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
)


@dataclass(frozen=True, slots=True)
class Owner:
    """An object that owns another: it goes when its owners have gone."""

    kind: str
    name: str
    uid: str

    def reference(self, *, controller: bool) -> dict[str, Any]:
        """The ownerReference. A controller blocks its owner's foreground deletion."""
        found: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
        }
        return found | {"controller": True, "blockOwnerDeletion": True} if controller else found


def deployment(
    effective: Effective,
    artifact: Artifact,
    defaults: OperatorDefaults,
    owner: Owner,
    draft: Draft | None = None,
) -> dict[str, Any]:
    """The Deployment of a Model, without `replicas`; the podTemplate is laid over it last.

    Raises:
        ExpressionError: Jinja in env or podTemplate that cannot be rendered.
        RenderError: a value that cannot be written.
    """
    variables = Variables(
        model=effective.name,
        namespace=effective.namespace,
        runner=effective.runner,
        format=artifact.format,
    )
    labels = _model_labels(effective, naming.COMPONENT_RUNNER)
    found = render(
        "deployment",
        name=effective.name,
        namespace=effective.namespace,
        labels=labels,
        pod_labels=labels,
        annotations={
            naming.INPUTS_ANNOTATION: inputs(effective, artifact, draft),
            naming.ARTIFACT_KEY_ANNOTATION: effective.key,
            naming.ARTIFACT_ANNOTATION: encode(artifact),
        },
        owners=[owner.reference(controller=True)],
        progress_deadline=math.ceil(effective.startup_timeout) + DEADLINE_MARGIN,
        grace_period=math.ceil(effective.drain_timeout) + GRACE_MARGIN,
        accelerated=effective.accelerator is not None,
        selector=naming.pod_selector(effective.name),
        image=effective.image or defaults.runner_image,
        image_pull_policy=defaults.image_pull_policy,
        env=_runner_env(effective, artifact, draft, variables),
        resources=_resources(effective),
        claim=cache_claim(effective),
        in_place=effective.in_place,
        draft_claim=cache_claim(draft.settings) if draft else None,
        draft_mount=DRAFT_MOUNT,
        **_constants(),
    )
    template = found["spec"]["template"]
    template["spec"] |= effective.scheduling
    overlay = expand(effective.pod_template, variables, "spec.podTemplate")
    found["spec"]["template"] = lay_over(template, overlay)
    return sealed(found)


def service(effective: Effective, owner: Owner) -> dict[str, Any]:
    """The Service of a Model: port 80 to its runners."""
    found = render(
        "service",
        name=effective.name,
        namespace=effective.namespace,
        labels=_model_labels(effective, naming.COMPONENT_RUNNER),
        annotations={},
        owners=[owner.reference(controller=True)],
        selector=naming.pod_selector(effective.name),
        **_constants(),
    )
    return sealed(found)


def claim(
    effective: Effective,
    artifact: Artifact,
    owners: Sequence[Owner],
    observed: Object | None,
    *,
    complete: bool,
) -> dict[str, Any]:
    """The cache claim of an artifact.

    Of a claim that exists, what cannot change is repeated as it is: to server-side apply a field
    that is left out is a field to remove. `owners` is empty for claims that outlive their Models.
    """
    spec = dig(observed, "spec") or {}
    cache = effective.cache
    annotations = {
        naming.ARTIFACT_ANNOTATION: encode(artifact),
        naming.SOURCE_ANNOTATION: describe(effective.source),
    }
    if complete:
        annotations[naming.COMPLETE_ANNOTATION] = "true"
    granted = text(spec, "resources", "requests", "storage")
    found = render(
        "claim",
        name=naming.claim_name(effective.key),
        namespace=effective.namespace,
        labels=naming.base_labels(naming.COMPONENT_CACHE) | {naming.ARTIFACT_LABEL: effective.key},
        annotations=annotations,
        owners=[owner.reference(controller=False) for owner in owners],
        access_modes=dig(spec, "accessModes") or [str(cache.access_mode)],
        storage_class_name=dig(spec, "storageClassName") if spec else cache.storage_class_name,
        storage=request_of(artifact.size_bytes, cache.size, granted),
    )
    return sealed(found)


def resolve_job(
    effective: Effective, defaults: OperatorDefaults, owners: Sequence[Owner], attempt: int
) -> dict[str, Any]:
    """The Job that finds out what the source holds."""
    return _job(
        effective,
        defaults,
        owners,
        command="resolve",
        name=naming.resolve_job_name(effective.key),
        component=naming.COMPONENT_RESOLVE,
        claim_name=cache_claim(effective) if effective.in_place else None,
        config=PullConfig(
            source=effective.source, key=effective.key, credentials=_credentials(effective)
        ),
        attempt=attempt,
    )


def pull_job(
    effective: Effective,
    defaults: OperatorDefaults,
    owners: Sequence[Owner],
    attempt: int,
    artifact: Artifact,
) -> dict[str, Any]:
    """The Job that fills the cache.

    A later try takes what it meets: what was resolved may be what is wrong.
    """
    expected = artifact if attempt == 1 else None
    return _job(
        effective,
        defaults,
        owners,
        command="pull",
        name=naming.pull_job_name(effective.key, effective.cache.existing_claim),
        component=naming.COMPONENT_PULL,
        claim_name=cache_claim(effective),
        config=PullConfig(
            source=effective.source,
            key=effective.key,
            expected=expected,
            credentials=_credentials(effective),
        ),
        attempt=attempt,
    )


def owners_of_job(job: Object, owners: Sequence[Owner]) -> dict[str, Any]:
    """What is applied to a Job that exists: one more owner. The rest of it cannot change."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": text(job, "metadata", "name"),
            "namespace": text(job, "metadata", "namespace"),
            "ownerReferences": [owner.reference(controller=False) for owner in owners],
        },
    }


def service_monitor(namespace: str, owner: Owner, settings: MonitoringSettings) -> dict[str, Any]:
    """The ServiceMonitor of a ModelRunner: the Services of all its Models."""
    own = naming.base_labels(naming.COMPONENT_METRICS) | {naming.RUNNER_LABEL: owner.name}
    found = render(
        "servicemonitor",
        name=naming.monitor_name(owner.name),
        namespace=namespace,
        labels=settings.labels | own,
        annotations={},
        owners=[owner.reference(controller=True)],
        selector={
            naming.MANAGED_BY_LABEL: naming.MANAGED_BY,
            naming.RUNNER_LABEL: owner.name,
        },
        interval=settings.interval,
        port_name=PORT_NAME,
    )
    return sealed(found)


def inputs(effective: Effective, artifact: Artifact, draft: Draft | None = None) -> str:
    """Hash of what users wrote, and of the weights: another value means other pods."""
    found = {"written": effective.written, "weights": _weights(artifact)}
    if draft is not None:
        place = [cache_claim(draft.settings), draft.settings.key]
        found["draft"] = [*place, *_weights(draft.artifact)]
    return digest(found)


def _weights(artifact: Artifact) -> list[Any]:
    return [artifact.digest, *((file.path, file.size_bytes) for file in artifact.files)]


def job_inputs(effective: Effective) -> str:
    """Hash of what users wrote of all that decides how a Job runs."""
    cache = effective.cache
    found = {
        "key": effective.key,
        "image": effective.image,
        "scheduling": effective.scheduling,
        "podTemplate": effective.pod_template,
        "env": effective.env,
        "size": cache.size,
        "claim": cache_claim(effective),
    }
    # Only where it is set: Jobs that an older operator made are not to be made again.
    secret = effective.credentials_secret
    return digest(found | {"credentialsSecret": secret} if secret else found)


def _job(
    effective: Effective,
    defaults: OperatorDefaults,
    owners: Sequence[Owner],
    *,
    command: str,
    name: str,
    component: str,
    claim_name: str | None,
    config: PullConfig,
    attempt: int,
) -> dict[str, Any]:
    variables = Variables(
        model=effective.name, namespace=effective.namespace, runner=effective.runner
    )
    own = {"name": PULL_CONFIG_VARIABLE, "value": _inert(encode(config))}
    found = render(
        "job",
        name=name,
        namespace=effective.namespace,
        labels=_model_labels(effective, component) | {naming.ARTIFACT_LABEL: effective.key},
        annotations={
            naming.INPUTS_ANNOTATION: job_inputs(effective),
            naming.ATTEMPT_ANNOTATION: str(attempt),
        },
        owners=[owner.reference(controller=False) for owner in owners],
        command=command,
        image=effective.image or defaults.runner_image,
        image_pull_policy=defaults.image_pull_policy,
        env=[own, *expand(_plain_env(effective.env), variables, "spec.env")],
        claim=claim_name,
        read_only=effective.in_place,
        credentials_secret=effective.credentials_secret,
        credentials_mount=CREDENTIALS_MOUNT,
        credentials_files=_credentials_files(effective),
        **_constants(),
    )
    template = found["spec"]["template"]
    wanted = {
        key: effective.scheduling[key] for key in _JOB_SCHEDULING if key in effective.scheduling
    }
    template["spec"] |= wanted
    overlay = expand(_job_overlay(effective.pod_template), variables, "spec.podTemplate")
    found["spec"]["template"] = lay_over(template, overlay)
    return found


def _credentials(effective: Effective) -> Credentials | None:
    secret = effective.credentials_secret
    return Credentials(secret=secret) if secret else None


def _credentials_files(effective: Effective) -> dict[str, str]:
    """Which keys of the user's Secret the program needs, and the files that it reads them from."""
    if effective.source.hugging_face is not None:
        return {"token": "token"}
    if effective.source.s3 is not None:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {key: key for key in keys}
    return {".dockerconfigjson": "config.json"}


def _job_overlay(pod_template: Mapping[str, Any]) -> dict[str, Any]:
    spec = pod_template.get("spec") or {}
    overlay = {key: value for key, value in pod_template.items() if key == "metadata"}
    return overlay | {"spec": {key: spec[key] for key in _JOB_TEMPLATE if key in spec}}


def _plain_env(env: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A proxy or a CA matters to a download as well. What names fields of the runner's own
    # container has no meaning in a Job.
    runner_only = {"fieldRef", "resourceFieldRef"}
    return [item for item in env if not runner_only & set(item.get("valueFrom") or ())]


def _runner_env(
    effective: Effective, artifact: Artifact, draft: Draft | None, variables: Variables
) -> list[dict[str, Any]]:
    config = _inert(encode(llamacpp.run_config(effective, artifact, draft)))
    own = {"name": RUN_CONFIG_VARIABLE, "value": config}
    return [own, *expand(effective.env, variables, "spec.env")]


def _inert(config: str) -> str:
    """JSON without dollar signs: the kubelet expands $(NAME) in the values of variables."""
    return config.replace("$", "\\u0024")


def _resources(effective: Effective) -> dict[str, Any]:
    found = json.loads(json.dumps(effective.resources))
    if effective.accelerator is not None:
        resource, count = effective.accelerator
        found.setdefault("limits", {})[resource] = str(count)
    return dict(found)


def _model_labels(effective: Effective, component: str) -> dict[str, str]:
    return naming.base_labels(component) | {
        naming.MODEL_LABEL: effective.name,
        naming.RUNNER_LABEL: effective.runner,
    }


def _constants() -> dict[str, Any]:
    return {"port": PORT, "port_name": PORT_NAME, "cache_mount": CACHE_MOUNT}
