"""Who uses a cache claim. The one answer to that, for all who may delete one."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from modelrunner.domain.naming import ARTIFACT_LABEL, SOURCE_KEY_LABEL
from modelrunner.domain.objects import (
    Object,
    being_deleted,
    dig,
    is_true,
    items,
    label,
    name_of,
    text,
    uid_of,
)

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class ClaimUsers:
    """All of one namespace that may use a cache claim, read once for all claims.

    `models`: for each key of a source, or of a version of one, the uids of the Models that refer
    to it. `mounted`: the claims that a pod mounts, or would mount if there was one. `unreadable`:
    names of Models whose source cannot be read, so that nobody knows what they refer to.
    """

    models: Mapping[str, frozenset[str]]
    mounted: frozenset[str]
    unreadable: tuple[str, ...] = ()

    def referrers(self, claim: Object) -> frozenset[str]:
        """The uids of the Models that refer to what a claim holds, by whatever version."""
        keys = (label(claim, ARTIFACT_LABEL), label(claim, SOURCE_KEY_LABEL))
        return frozenset().union(*(self.models.get(key, frozenset()) for key in keys if key))

    def is_mounted(self, claim: Object) -> bool:
        """Whether a pod has it, or is to have it when its Model wakes or its Job starts."""
        return name_of(claim) in self.mounted

    def uses(self, claim: Object) -> bool:
        """Whether anybody would miss it; True where that cannot be known."""
        return bool(self.unreadable or self.referrers(claim)) or self.is_mounted(claim)


def claim_users(
    models: Iterable[Object],
    holders: Iterable[Object],
    *,
    keys_of: Callable[[Object], Collection[str] | None],
) -> ClaimUsers:
    """Read a namespace.

    Args:
        models: Its Models. One that is being deleted refers to nothing any more.
        holders: Its pods, Deployments and Jobs.
        keys_of: The keys of what a Model wants on claims of the operator's own, its source's and
            its version's; None where they cannot be read.
    """
    found: dict[str, set[str]] = {}
    unreadable = []
    for model in models:
        if being_deleted(model):
            continue
        keys = keys_of(model)
        if keys is None:
            unreadable.append(name_of(model))
        for key in keys or ():
            found.setdefault(key, set()).add(uid_of(model))
    return ClaimUsers(
        models={key: frozenset(uids) for key, uids in found.items()},
        mounted=frozenset(name for holder in holders for name in claims_of(holder)),
        unreadable=tuple(unreadable),
    )


def claims_of(holder: Object) -> frozenset[str]:
    """Names of the claims that a pod, a Deployment or a Job mounts; none of one that has ended.

    A Deployment without pods counts: the next wake makes one.
    """
    if text(holder, "status", "phase") in _ENDED or _finished(holder):
        return frozenset()
    template = dig(holder, "spec", "template")
    pod = template if template is not None else holder
    names = (
        text(volume, "persistentVolumeClaim", "claimName")
        for volume in items(pod, "spec", "volumes")
    )
    return frozenset(name for name in names if name)


def _finished(holder: Object) -> bool:
    return is_true(holder, "Complete") or is_true(holder, "Failed")
