"""Pods that mount a volume of one node, kept on one node, beside what users say of their place.

The scheduler counts a pod for required affinity only if it matches ALL required terms of the one
that comes. So there is one required term at most; the rest, and all of it where users have
required terms of their own, is preferred with the highest weight.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrunner.domain import volumes

_NODE: Final = "kubernetes.io/hostname"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT: Final = 100


def follow(template: Mapping[str, Any], claims: Sequence[str]) -> dict[str, Any]:
    """A pod template whose pods share a node with those that mount `claims`, the first above all.

    A pod that matches its own term may be the first, on any node.
    """
    if not claims:
        return dict(template)
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **volumes.labels(claims)}
    spec = dict(template.get("spec") or {})
    affinity = dict(spec.get("affinity") or {})
    near = dict(affinity.get("podAffinity") or {})
    terms = [_term(claim) for claim in claims]
    if not near.get(_REQUIRED):
        near[_REQUIRED] = [terms.pop(0)]
    if terms:
        preferred = [{"weight": _WEIGHT, "podAffinityTerm": term} for term in terms]
        near[_PREFERRED] = [*(near.get(_PREFERRED) or ()), *preferred]
    spec["affinity"] = {**affinity, "podAffinity": near}
    return {**template, "metadata": metadata, "spec": spec}


def _term(claim: str) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": volumes.labels([claim])}, "topologyKey": _NODE}
