"""Which cache claims nobody uses any more, since when, and what is to become of them.

A claim that nobody uses is marked with the time. It goes after `cache.ttl`, or at once where all
Models that used it last wanted that (retention Delete): such a claim has them as its owners, so
that Kubernetes deletes it with them even while the operator is away. Owners that have gone on to
another source do not do that, which is why it is done here.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.text import format_size
from modelrunner.api.v1alpha1 import Retention
from modelrunner.api.v1alpha1.defaults import RUNNER
from modelrunner.domain.claim_users import ClaimUsers
from modelrunner.domain.naming import (
    ARTIFACT_ANNOTATION,
    COMPONENT_CACHE,
    COMPONENT_LABEL,
    RUNNER_LABEL,
    SOURCE_ANNOTATION,
    UNUSED_ANNOTATION,
)
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    format_time,
    items,
    label,
    name_of,
    parse_time,
    text,
)
from modelrunner.domain.quantities import parse_quantity
from modelrunner_protocol.codec import WireError, decode
from modelrunner_protocol.wire import Artifact

NAMED: Final = 20
"""How many unused claims a status names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A claim that nobody uses.

    `since` and `ends` are seconds since the epoch; `ends` None: it is kept. `marked`: the claim
    itself says since when.
    """

    claim: Object
    since: float
    ends: float | None
    marked: bool

    def is_due(self, now: float) -> bool:
        """Whether its time is over."""
        return self.ends is not None and self.ends <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one look at the claims of a ModelRunner has found.

    `marked_in_vain`: claims that somebody uses although they say that nobody does. `disowned`:
    claims with the owners that they are to keep.
    """

    claims: Sequence[Object] = ()
    unused: Sequence[Unused] = ()
    marked_in_vain: Sequence[Object] = ()
    disowned: Sequence[tuple[Object, Sequence[Object]]] = ()
    mounted_only: bool = False

    def next_end(self, now: float) -> float | None:
        """Seconds until the next claim is due, None when none will be."""
        ends = [one.ends for one in self.unused if one.ends is not None and one.ends > now]
        return min(ends) - now if ends else None


def cared_for(claims: Iterable[Object], runner: str, runners: Collection[str]) -> list[Object]:
    """The claims that a ModelRunner looks after, by name.

    Those that say so. One that names no ModelRunner that there is (older operators wrote none) is
    looked after by `default`, or else by the first by name, so that each claim has somebody.
    """
    heir = RUNNER if RUNNER in runners else min(runners, default="")
    found = []
    for claim in claims:
        named = label(claim, RUNNER_LABEL)
        ward = named if named in runners else heir
        if ward == runner and label(claim, COMPONENT_LABEL) == COMPONENT_CACHE:
            found.append(claim)
    return sorted((one for one in found if not being_deleted(one)), key=name_of)


def survey(
    claims: Sequence[Object],
    users: ClaimUsers,
    *,
    ttl: float | None,
    retention_of: Callable[[str], Retention | None],
    now: float,
) -> Survey:
    """Judge the claims of one ModelRunner.

    Args:
        claims: What it looks after (see `cared_for`).
        users: Who uses what in the namespace.
        ttl: Seconds for which a claim is kept that nobody uses; None: for ever.
        retention_of: What the Model of that uid wants of the claims that it leaves; None: there is
            no such Model.
        now: Seconds since the epoch.
    """
    unused: list[Unused] = []
    in_vain: list[Object] = []
    disowned: list[tuple[Object, Sequence[Object]]] = []
    mounted_only = False
    for claim in claims:
        mark = annotation(claim, UNUSED_ANNOTATION)
        owners, kept = items(claim, "metadata", "ownerReferences"), _kept(claim, users)
        used = users.uses(claim)
        if not users.referrers(claim) and not users.unreadable:
            goes_at_once = bool(owners) and _all_delete(owners, retention_of)
            kept = owners if goes_at_once else []
            mounted_only |= used and (goes_at_once or ttl is not None)
            if not used:
                unused.append(_unused(claim, ttl=0.0 if goes_at_once else ttl, now=now))
        if used and mark:
            in_vain.append(claim)
        if len(kept) < len(owners):
            disowned.append((claim, kept))
    return Survey(
        claims=claims,
        unused=sorted(unused, key=lambda one: (one.since, name_of(one.claim))),
        marked_in_vain=in_vain,
        disowned=disowned,
        mounted_only=mounted_only,
    )


def _kept(claim: Object, users: ClaimUsers) -> list[Object]:
    """The owners that still refer to it. A Model that cannot be read may do so, too."""
    owners = items(claim, "metadata", "ownerReferences")
    referrers = users.referrers(claim)
    if not referrers or users.unreadable:
        return owners
    return [owner for owner in owners if text(owner, "uid") in referrers]


def _all_delete(owners: Sequence[Object], retention_of: Callable[[str], Retention | None]) -> bool:
    wishes = {retention_of(text(owner, "uid")) for owner in owners}
    return Retention.RETAIN not in wishes


def _unused(claim: Object, *, ttl: float | None, now: float) -> Unused:
    since = parse_time(annotation(claim, UNUSED_ANNOTATION))
    start = float(int(now)) if since is None else since
    ends = None if ttl is None else start + ttl
    return Unused(claim=claim, since=start, ends=ends, marked=since is not None)


def cache_status(found: Survey) -> dict[str, Any] | None:
    """`status.cache` of a ModelRunner; None without claims."""
    if not found.claims:
        return None
    total = sum(claim_bytes(claim) for claim in found.claims)
    return {
        "claims": len(found.claims),
        "sizeBytes": total,
        "size": format_size(total),
        "unusedClaims": len(found.unused),
        "unused": [_told(one) for one in found.unused[:NAMED]],
    }


def _told(one: Unused) -> dict[str, Any]:
    told = {
        "claim": name_of(one.claim),
        "source": annotation(one.claim, SOURCE_ANNOTATION) or None,
        "size": format_size(claim_bytes(one.claim)),
        "since": format_time(one.since),
        "deletedAfter": None if one.ends is None else format_time(one.ends),
    }
    return {key: value for key, value in told.items() if value is not None}


def claim_bytes(claim: Object) -> int:
    """How large a claim is: as it was given, else as it was asked for."""
    for place in ("status", "capacity"), ("spec", "resources", "requests"):
        size = text(claim, *place, "storage")
        try:
            return int(parse_quantity(size))
        except ValueError:
            continue
    return 0


def obituary(one: Unused, *, now: float) -> str:
    """What is told of a claim that was deleted: "2.1 GiB of ai/smollm2, unused for 7d"."""
    try:
        size = decode(Artifact, annotation(one.claim, ARTIFACT_ANNOTATION)).size_bytes
    except WireError:
        size = claim_bytes(one.claim)
    what = annotation(one.claim, SOURCE_ANNOTATION) or f"PersistentVolumeClaim {name_of(one.claim)}"
    idle = _idle(max(0, round(now - one.since)))
    return f"{format_size(size)} of {what}, unused for {idle} (claim {name_of(one.claim)})"


def _idle(seconds: int) -> str:
    """A time in its two largest units: "7d", "1h30m"."""
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        parts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    named = parts[first : first + 2]
    return "".join(f"{count}{unit}" for count, unit in named if count) or "0s"
