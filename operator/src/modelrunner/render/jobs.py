"""The desired Jobs that look at a source and fill a cache."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from modelrunner.domain import naming
from modelrunner.domain.cache import cache_claim, owns_claim
from modelrunner.domain.effective import Effective, OperatorDefaults
from modelrunner.domain.expressions import Variables, expand
from modelrunner.domain.growth import size_for_job
from modelrunner.domain.objects import Object, text
from modelrunner.domain.quantities import parse_quantity
from modelrunner.domain.sizing import request_of
from modelrunner.domain.volumes import Mount, Reach, asked_mode, mount, writing
from modelrunner.render.common import Owner, constants, inert, model_labels
from modelrunner.render.documents import render
from modelrunner.render.hashing import digest
from modelrunner.render.overlay import lay_over
from modelrunner.render.placement import follow
from modelrunner_protocol.codec import encode
from modelrunner_protocol.sources import source_kind
from modelrunner_protocol.wire import (
    CREDENTIALS_MOUNT,
    PULL_CONFIG_VARIABLE,
    Artifact,
    Credentials,
    PullConfig,
)

REFRESH_DEADLINE: Final = 900
"""Seconds after which a look at a source is ended by the cluster."""

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


# By the kind of a source: the names of the files, which are those of the Secret's keys.
_CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "huggingFace": ("token",),
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gcs": ("service-account.json",),
    "azure": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_TENANT_ID",
    ),
}


def resolve_job(
    effective: Effective,
    defaults: OperatorDefaults,
    owners: Sequence[Owner],
    attempt: int,
    claim: Object | None = None,
) -> dict[str, Any]:
    """The Job that finds out what the source holds, and whether a shared claim has it already.

    `claim` is the cache claim as it was looked at; None: it is not there, or not looked at.
    """
    shared = None if effective.in_place else effective.cache.existing_claim
    looks = effective.in_place or shared is not None
    return _job(
        effective,
        defaults,
        owners,
        command="resolve",
        name=naming.resolve_job_name(effective.key, shared),
        component=naming.COMPONENT_RESOLVE,
        mounts=_mount(effective, claim) if looks else None,
        reads=True,
        config=PullConfig(
            source=effective.source, key=effective.key, credentials=_credentials(effective)
        ),
        attempt=attempt,
    )


def refresh_job(
    effective: Effective, defaults: OperatorDefaults, owner: Owner, request: str
) -> dict[str, Any]:
    """The Job that looks whether the source has moved: at the source itself, never at a cache.

    `request` is the annotation of the Model that it answers.
    """
    of_source = replace(effective, key=effective.source_key)
    found = _job(
        of_source,
        defaults,
        [owner],
        command="resolve",
        name=naming.refresh_job_name(effective.source_key),
        component=naming.COMPONENT_RESOLVE,
        mounts=None,
        config=PullConfig(
            source=effective.source, key=of_source.key, credentials=_credentials(effective)
        ),
        attempt=1,
    )
    found["metadata"]["annotations"][naming.REFRESH_ANNOTATION] = request
    # What serves does not depend on it: better an end without an answer than no end.
    found["spec"]["activeDeadlineSeconds"] = REFRESH_DEADLINE
    return found


def refresh_inputs(effective: Effective) -> str:
    """`job_inputs` of that Job: the same for each version of the source."""
    return job_inputs(replace(effective, key=effective.source_key))


def pull_job(
    effective: Effective,
    defaults: OperatorDefaults,
    owners: Sequence[Owner],
    attempt: int,
    artifact: Artifact,
    claim: Object | None = None,
    beside: str | None = None,
) -> dict[str, Any]:
    """The Job that fills the cache, whose `claim` is as it was looked at.

    `beside` is a claim that is on the pod's node, too: the runners will need both.
    A later try takes what it meets: what was resolved may be what is wrong.
    """
    expected = artifact if attempt == 1 else None
    found = _job(
        effective,
        defaults,
        owners,
        command="pull",
        name=naming.pull_job_name(effective.key, effective.cache.existing_claim),
        component=naming.COMPONENT_PULL,
        mounts=_mount(effective, claim),
        beside=beside,
        config=PullConfig(
            source=effective.source,
            key=effective.key,
            expected=expected,
            credentials=_credentials(effective),
        ),
        attempt=attempt,
    )
    if owns_claim(effective):
        size = request_of(artifact.size_bytes, effective.cache.size, "")
        room = size_for_job(claim) or int(parse_quantity(size))
        found["metadata"]["annotations"][naming.CLAIM_BYTES_ANNOTATION] = str(room)
    return found


def verify_job(
    effective: Effective,
    defaults: OperatorDefaults,
    owner: Owner,
    request: str,
    artifact: Artifact,
    claim: Object | None = None,
) -> dict[str, Any]:
    """The Job that hashes what a cache holds, for one Model and one request.

    It sets damaged files apart, so it may write where a pull may. It asks no source for anything.
    """
    found = _job(
        replace(effective, credentials_secret=None),
        defaults,
        [owner],
        command="verify",
        name=naming.verify_job_name(effective.name, effective.key),
        component=naming.COMPONENT_VERIFY,
        mounts=_mount(effective, claim),
        reads=effective.in_place,
        config=PullConfig(source=effective.source, key=effective.key, expected=artifact),
        attempt=1,
    )
    found["metadata"]["annotations"][naming.VERIFY_ANNOTATION] = request
    return found


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
    mounts: Mount | None,
    config: PullConfig,
    attempt: int,
    reads: bool = False,
    beside: str | None = None,
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
        claim=mounts.claim if mounts else None,
        reads=reads,
        beside=beside,
        # Not for a claim that can be written: a new disk is formatted by the first pod that has it.
        read_only=effective.in_place or (mounts is not None and not mounts.writable),
        credentials_secret=effective.credentials_secret,
        credentials_mount=CREDENTIALS_MOUNT,
        credentials_files=_credentials_files(effective),
        **constants(),
    )
    tied = [beside] if beside else []
    tied += [mounts.claim] if mounts is not None and mounts.reach is Reach.NODE else []
    template = _placed(effective, found["spec"]["template"], variables)
    found["spec"]["template"] = follow(template, tied)
    return found


def _placed(effective: Effective, template: dict[str, Any], variables: Variables) -> dict[str, Any]:
    """The pod template with what users wrote of the place and identity of Jobs."""
    wanted = {
        key: effective.scheduling[key] for key in _JOB_SCHEDULING if key in effective.scheduling
    }
    template["spec"] |= wanted
    overlay = expand(_job_overlay(effective.pod_template), variables, "spec.podTemplate")
    return lay_over(template, overlay)


def _mount(effective: Effective, claim: Object | None) -> Mount:
    """The cache claim as a pod mounts it that may write."""
    mode = asked_mode(effective)
    found = mount(cache_claim(effective), claim, mode)
    return found if effective.in_place else writing(found, claim, mode)


def _credentials(effective: Effective) -> Credentials | None:
    secret = effective.credentials_secret
    return Credentials(secret=secret) if secret else None


def _credentials_files(effective: Effective) -> dict[str, str]:
    """Which keys of the user's Secret the program needs, and the files that it reads them from."""
    keys = _CREDENTIALS.get(source_kind(effective.source))
    return {key: key for key in keys} if keys else {".dockerconfigjson": "config.json"}


def _job_overlay(pod_template: Mapping[str, Any]) -> dict[str, Any]:
    spec = pod_template.get("spec") or {}
    overlay = {key: value for key, value in pod_template.items() if key == "metadata"}
    return overlay | {"spec": {key: spec[key] for key in _JOB_TEMPLATE if key in spec}}


def _plain_env(env: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A proxy or a CA matters to a download as well. What names fields of the runner's own
    # container has no meaning in a Job.
    runner_only = {"fieldRef", "resourceFieldRef"}
    return [item for item in env if not runner_only & set(item.get("valueFrom") or ())]
