"""The desired Jobs that look at a source and fill a cache."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.expressions import Variables, expand
from modelrunner.domain.objects import Object, text
from modelrunner.render.common import Owner, constants, inert, model_labels
from modelrunner.render.documents import render
from modelrunner.render.hashing import digest
from modelrunner.render.overlay import lay_over
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import (
    CREDENTIALS_MOUNT,
    PULL_CONFIG_VARIABLE,
    Artifact,
    Credentials,
    PullConfig,
)

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
    own = {"name": PULL_CONFIG_VARIABLE, "value": inert(encode(config))}
    found = render(
        "job",
        name=name,
        namespace=effective.namespace,
        labels=model_labels(effective, component) | {naming.ARTIFACT_LABEL: effective.key},
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
        **constants(),
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
