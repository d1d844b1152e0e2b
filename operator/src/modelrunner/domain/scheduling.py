"""Why a pod finds no node: the scheduler's words and what to do about them."""

import re
from collections.abc import Sequence
from typing import Final

from modelrunner.domain.objects import (
    Object,
    condition,
    created_at,
    dig,
    is_true,
    items,
    parse_time,
    text,
)
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason

BINDING_GRACE: Final = 30.0
"""Seconds in which a claim may still be waiting for its volume without anybody being told."""

_INSUFFICIENT: Final = re.compile(r"Insufficient ([A-Za-z0-9./_-]*[A-Za-z0-9_-])")
_UNBOUND: Final = (
    "unbound immediate PersistentVolumeClaims",
    "waiting for ephemeral volume",
    "binding volumes",
)
_ONE_NODE: Final = "didn't match pod affinity rules"
_ONE_POD: Final = "ReadWriteOncePod"
_MENDS: Final = (
    (
        "volume node affinity conflict",
        (
            "the cache volume is on a node that spec.scheduling or spec.accelerator rules out: allow"
            " that node, or delete the claim so that the model is pulled again where a runner fits"
        ),
    ),
    (
        "persistentvolumeclaim",
        "a volume that the pod mounts is missing: check the claim's name, or create it",
    ),
    (
        "didn't match Pod's node affinity/selector",
        (
            "no node has the labels in spec.scheduling of the ModelRunner: change nodeSelector or"
            " affinity, or label a node"
        ),
    ),
    (
        "untolerated taint",
        "add the taint to spec.scheduling.tolerations of the ModelRunner, or remove it from a node",
    ),
    ("topology spread", "relax spec.scheduling.topologySpreadConstraints of the ModelRunner"),
    ("unschedulable", "a node is cordoned: uncordon it or add another"),
)


def scheduled_condition(pod: Object) -> Object | None:
    """The pod's PodScheduled condition."""
    return condition(pod, "PodScheduled")


def is_scheduled(pod: Object) -> bool:
    """Whether a node was chosen."""
    return bool(text(pod, "spec", "nodeName"))


def unschedulable(pod: Object, *, now: float) -> Problem | None:
    """The scheduler's words with a mend, or None while it has not given up."""
    found = scheduled_condition(pod)
    if found is None or found.get("status") != "False":
        return None
    if found.get("reason") not in {"Unschedulable", "SchedulerError"}:
        return None
    words = text(found, "message").strip()
    # The scheduler itself failed, most often over a conflict in writing; it tries again at once.
    passing = found["reason"] == "SchedulerError" or any(phrase in words for phrase in _UNBOUND)
    if passing and now - created_at(pod) < BINDING_GRACE:
        return None
    mend = _mend(words, claims_of(pod))
    return Problem(Reason.UNSCHEDULABLE, f"no node fits: {words.rstrip('.')}. {mend}")


def held_since(pod: Object) -> float | None:
    """Since when a pod waits for a node, or on its node for its volumes; None: it does not."""
    found = scheduled_condition(pod)
    since = parse_time(text(found, "lastTransitionTime")) or created_at(pod)
    if not is_scheduled(pod):
        given_up = text(found, "status") == "False" and text(found, "reason") == "Unschedulable"
        return since if given_up else None
    # Volumes and network come first, then the condition, then images.
    if is_true(pod, "PodReadyToStartContainers"):
        return None
    waiting = all(
        text(one, "state", "waiting", "reason") in {"ContainerCreating", "PodInitializing"}
        for one in items(pod, "status", "containerStatuses")
    )
    ended = text(pod, "status", "phase") not in {"", "Pending"} or dig(pod, "status", "podIP")
    return since if waiting and not ended else None


def binding_wait(pod: Object, *, now: float) -> float | None:
    """Seconds after which a pod that waits for its volume has to be judged again."""
    if is_scheduled(pod):
        return None
    left = created_at(pod) + BINDING_GRACE - now
    return left if left > 0 else None


def claims_of(pod: Object) -> list[str]:
    """The claims that a pod mounts."""
    volumes = items(pod, "spec", "volumes")
    names = [text(one, "persistentVolumeClaim", "claimName") for one in volumes]
    return sorted({name for name in names if name})


def _mend(words: str, claims: Sequence[str]) -> str:
    if any(phrase in words for phrase in _UNBOUND):
        look = (
            f"; `kubectl describe persistentvolumeclaim {' '.join(claims)}` tells why"
            if claims
            else ""
        )
        return (
            f"Mend: the claim has no volume yet{look}: check that its storage class exists, can"
            " provision, and offers the access mode (spec.cache.storageClassName and accessMode of the ModelRunner)"
        )
    if _ONE_POD in words:
        return (
            "Mend: the claim is ReadWriteOncePod, which one pod at a time can mount: stop that pod, or"
            " use a claim with another access mode"
        )
    if _ONE_NODE in words:
        return (
            "Mend: pods that mount the same ReadWriteOnce volume have to share its node, which has no"
            " room or is ruled out: make room on that node, or use a volume that offers ReadWriteMany"
            " (spec.cache.accessMode of the ModelRunner)"
        )
    missing = sorted(set(_INSUFFICIENT.findall(words)))
    if missing:
        return f"Mend: {' and '.join(_mend_resource(name) for name in missing)}"
    for phrase, mend in _MENDS:
        if phrase in words:
            return f"Mend: {mend}"
    return "Mend: change spec.scheduling or spec.resources of the ModelRunner, or add a node"


def _mend_resource(resource: str) -> str:
    if resource in {"cpu", "memory", "ephemeral-storage"}:
        return f"lower spec.resources.requests.{resource} of the ModelRunner or add a larger node"
    if resource == "pods":
        return "add a node, since those that fit are full"
    return (
        f"no node has enough free {resource}: add a node with it, install its device plugin, or change"
        " spec.accelerator of the ModelRunner"
    )
