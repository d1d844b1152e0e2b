"""Why a pod finds no node: the scheduler's words and what to do about them."""

import re
from typing import Final

from modelrunner.domain.objects import Object, condition, created_at, text
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason

BINDING_GRACE: Final = 30.0
"""Seconds in which a claim may still be waiting for its volume without anybody being told."""

_INSUFFICIENT: Final = re.compile(r"Insufficient ([A-Za-z0-9./_-]*[A-Za-z0-9_-])")
_UNBOUND: Final = ("unbound immediate PersistentVolumeClaims", "waiting for ephemeral volume")
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
    return Problem(Reason.UNSCHEDULABLE, f"no node fits: {words.rstrip('.')}. {_mend(words)}")


def binding_wait(pod: Object, *, now: float) -> float | None:
    """Seconds after which a pod that waits for its volume has to be judged again."""
    if is_scheduled(pod) or scheduled_condition(pod) is None:
        return None
    left = created_at(pod) + BINDING_GRACE - now
    return left if left > 0 else None


def _mend(words: str) -> str:
    if any(phrase in words for phrase in _UNBOUND):
        return (
            "Mend: the claim has no volume yet: check that its storage class exists and can provision"
            " (spec.cache.storageClassName of the ModelRunner)"
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
