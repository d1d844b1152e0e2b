"""From where a claim can be mounted, and what follows for the pods that mount it. Pure.

What counts is what a claim offers, not what was asked for: the volume that it is bound to may do
more. A volume that one node alone can mount keeps its pods together. For that each of them carries
a label for each such claim, and a term of affinity to one of these labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrunner.domain.effective import Effective
from modelrunner.domain.naming import CLAIM_UID_ANNOTATION, VOLUMES_ANNOTATION, cache_label
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    dig,
    label,
    text,
)
from modelrunner.domain.problem import Problem
from modelrunner.domain.scheduling import claims_of
from modelrunner_protocol.reasons import Reason

_MANY: Final = "ReadWriteMany"
_ONCE: Final = "ReadWriteOnce"
_ONE_POD: Final = "ReadWriteOncePod"
_READ: Final = "ReadOnlyMany"
_ENDED: Final = frozenset({"Failed", "Succeeded"})


class Reach(StrEnum):
    """From where pods can mount a claim at the same time."""

    POD = "pod"
    """One pod (ReadWriteOncePod)."""

    NODE = "node"
    """All pods of one node (ReadWriteOnce)."""

    ANYWHERE = "anywhere"
    """Pods of all nodes (ReadWriteMany; ReadOnlyMany, for those that only read)."""


_NEAREST: Final = (Reach.POD, Reach.NODE, Reach.ANYWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A claim as runners mount it.

    `read_only`: it spreads only while nobody mounts it to write. `writable`: whether anything can
    be pulled onto it.
    """

    claim: str
    reach: Reach
    read_only: bool = False
    writable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounts:
    """The claims of a runner pod; `draft` None: it has none, or has it on the claim of its own."""

    cache: Mount
    draft: Mount | None = None

    @property
    def reach(self) -> Reach:
        """From where all of them can be mounted."""
        return min((one.reach for one in self._all), key=_NEAREST.index)

    @property
    def tied(self) -> list[str]:
        """The claims that keep their pods on one node, the one that counts most first.

        That is the draft's: its pods may run already when the first of these comes, while the
        claim of its own is mounted by hardly anybody else.
        """
        return [one.claim for one in reversed(self._all) if one.reach is Reach.NODE]

    @property
    def names(self) -> list[str]:
        """The claims that keep their pods from spreading."""
        return [one.claim for one in self._all if one.reach is not Reach.ANYWHERE]

    @property
    def words(self) -> str:
        """The same for an annotation: another value means other pods."""
        return " ".join(
            f"{one.claim}={one.reach}{'-read-only' if one.read_only else ''}" for one in self._all
        )

    @property
    def _all(self) -> list[Mount]:
        return [self.cache] if self.draft is None else [self.cache, self.draft]


def mount(name: str, claim: Object | None, otherwise: str) -> Mount:
    """The claim `name` as it is, or as it will be once it is made with `otherwise`."""
    modes = _modes(claim) or {otherwise}
    writable = bool(modes & {_MANY, _ONCE, _ONE_POD})
    if _MANY in modes or _READ in modes:
        return Mount(
            claim=name,
            reach=Reach.ANYWHERE,
            read_only=_MANY not in modes,
            writable=writable,
        )
    return Mount(claim=name, reach=Reach.NODE if _ONCE in modes else Reach.POD)


def writing(mount_: Mount, claim: Object | None, otherwise: str) -> Mount:
    """The same claim as a pod mounts it that writes."""
    modes = _modes(claim) or {otherwise}
    if _MANY in modes or not mount_.writable:
        return mount_
    return Mount(claim=mount_.claim, reach=Reach.NODE if _ONCE in modes else Reach.POD)


def together(cache: Mount, draft: Mount | None) -> Mounts:
    """Both claims of a runner."""
    same = draft is None or draft.claim == cache.claim
    return Mounts(cache=cache, draft=None if same else draft)


def asked_mode(effective: Effective) -> str:
    """The access mode that a claim is made with; of one that users made: the most cautious."""
    ours = not effective.in_place and effective.cache.existing_claim is None
    return str(effective.cache.access_mode) if ours else _ONCE


def _modes(claim: Object | None) -> set[str]:
    bound = dig(claim, "status", "accessModes") if text(claim, "status", "phase") == "Bound" else ()
    found = bound or dig(claim, "spec", "accessModes") or ()
    return {mode for mode in found if isinstance(mode, str)} if isinstance(found, list) else set()


def labels(claims: Iterable[str]) -> dict[str, str]:
    """The labels by which pods that mount these claims find each other."""
    return {cache_label(claim): "true" for claim in claims}


def other_volumes(deployment: Object, wanted: Object) -> bool:
    """Whether a Deployment has pods for claims of another reach than there are now.

    One that an older operator made does not say; it is no reason to restart its pods.
    """
    known = annotation(deployment, VOLUMES_ANNOTATION)
    other = bool(known) and known != annotation(wanted, VOLUMES_ANNOTATION)
    return other or not same_claim(deployment, annotation(wanted, CLAIM_UID_ANNOTATION))


def same_claim(deployment: Object, uid: str) -> bool:
    """Whether the claim with `uid` is the one that a Deployment was made for, as far as it says."""
    known = annotation(deployment, CLAIM_UID_ANNOTATION)
    return not known or not uid or known == uid


def unlabelled(
    pods: Iterable[Object], claims: Sequence[str]
) -> list[tuple[Object, dict[str, str]]]:
    """Pods on nodes that mount one of these claims without its label, and the labels they lack.

    They were made by an older operator. Without the label, the first pod that looks for it would
    find nobody, and could land on a node where the volume cannot be mounted any more.
    """
    found = []
    for pod in pods:
        if not text(pod, "spec", "nodeName") or text(pod, "status", "phase") in _ENDED:
            continue
        mine = claims_of(pod)
        missing = {
            key: value
            for key, value in labels(claim for claim in claims if claim in mine).items()
            if label(pod, key) != value
        }
        if missing and not being_deleted(pod):
            found.append((pod, missing))
    return found


def claim_problem(effective: Effective, claim: Object | None) -> Problem | None:
    """Why a claim that users made cannot be used, None for one that can."""
    ours = not effective.in_place and effective.cache.existing_claim is None
    if ours:
        return None
    name, field = _place(effective)
    what = f"{field} names PersistentVolumeClaim {name}"
    if claim is None:
        return _unfit(
            f"{what}, which does not exist in the namespace {effective.namespace}: create it, or"
            " name another"
        )
    if being_deleted(claim):
        return _unfit(
            f"{what}, which is being deleted and goes once no pod uses it: create it again then,"
            " or name another"
        )
    if text(claim, "spec", "volumeMode") == "Block":
        return _unfit(
            f"{what}, which is a raw block device (volumeMode Block): name one with a file system"
        )
    if text(claim, "status", "phase") == "Lost":
        return Problem(
            Reason.PULL_FAILED,
            f"{what}, which lost its volume: restore the volume, or create the claim again",
        )
    return None


def _place(effective: Effective) -> tuple[str, str]:
    if effective.source.claim is not None:
        return effective.source.claim.claim, "spec.source.persistentVolumeClaim"
    field = f"spec.cache.existingClaim of ModelRunner {effective.runner}"
    return effective.cache.existing_claim or "", field


def _unfit(message: str) -> Problem:
    return Problem(Reason.INVALID_CONFIGURATION, message)


def is_unbound(claim: Object | None) -> bool:
    """Whether a claim has no volume yet."""
    return text(claim, "status", "phase") == "Pending" and not text(claim, "spec", "volumeName")


def unbound_words(claim: Object | None, said: str = "") -> str:
    """Why a claim has no volume, or where it is told; "" for one that has, or that is not there.

    `said`: what was told of it.
    """
    if claim is None or text(claim, "status", "phase") != "Pending":
        return ""
    name = text(claim, "metadata", "name")
    modes = " and ".join(sorted(_modes(claim)))
    of = text(claim, "spec", "storageClassName")
    by = f"storage class {of}" if of else "the default storage class"
    why = f": {said}" if said else f"; `kubectl describe persistentvolumeclaim {name}` tells why"
    return (
        f"PersistentVolumeClaim {name} ({modes}, {by}) has no volume yet{why}. If the class is not"
        f" there or cannot offer {modes}, change spec.cache of the ModelRunner and delete the claim"
    )
