"""What becomes of claims that nobody uses."""

from typing import Any

import pytest

from modelrunner.api.v1alpha1 import Retention
from modelrunner.domain.claim_users import ClaimUsers
from modelrunner.domain.upkeep import (
    NAMED,
    Survey,
    Unused,
    cache_status,
    cared_for,
    claim_bytes,
    obituary,
    survey,
)
from modelrunner_protocol.codec import encode
from modelrunner_protocol.wire import Artifact

NOW = 1_800_000_000.5
SINCE = "2027-01-15T07:00:00Z"  # an hour before NOW
HOUR = 3600.0
NOBODY = ClaimUsers({}, frozenset())


def claim(key: str = "a", runner: str = "", since: str = "", *owners: str, **meta: Any) -> Any:
    """A cache claim of 2 GiB."""
    labels = {"app.kubernetes.io/component": "cache", "modelrunner.dev/artifact": key}
    return {
        "metadata": {
            "name": f"model-cache-{key}",
            "labels": labels | ({"modelrunner.dev/runner": runner} if runner else {}),
            "annotations": {"modelrunner.dev/source": "ai/x"}
            | ({"modelrunner.dev/unused-since": since} if since else {}),
            "ownerReferences": [{"uid": uid} for uid in owners],
            **meta,
        },
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"capacity": {"storage": "2Gi"}},
    }


def judged(
    *claims: Any,
    users: ClaimUsers = NOBODY,
    ttl: float | None = None,
    wishes: dict[str, Retention] | None = None,
) -> Survey:
    """A look at claims."""
    of = wishes or {}
    return survey(claims, users, ttl=ttl, retention_of=of.get, now=NOW)


def used_by(*uids: str) -> ClaimUsers:
    """Models refer to the artifact "a"."""
    return ClaimUsers({"a": frozenset(uids)}, frozenset())


MOUNTED = ClaimUsers({}, frozenset({"model-cache-a"}))


@pytest.mark.parametrize(
    ("runners", "mine"),
    [
        (("default", "gpu"), ["of-none", "of-the-gone"]),
        (("default",), ["of-gpu", "of-none", "of-the-gone"]),
    ],
)
def test_each_claim_has_somebody(runners: tuple[str, ...], mine: list[str]) -> None:
    """Whose Model made it, else `default`, else the first by name."""
    claims = [
        claim("of-the-gone", "gone"),
        claim("of-gpu", "gpu"),
        claim("of-none"),
        claim("dying", deletionTimestamp="2027-01-15T07:00:00Z"),
    ]
    found = [one["metadata"]["name"] for one in cared_for(claims, "default", runners)]
    assert found == [f"model-cache-{key}" for key in mine]
    heir = cared_for(claims, "big", ("gpu", "big"))
    assert [one["metadata"]["name"] for one in heir] == [
        "model-cache-of-none",
        "model-cache-of-the-gone",
    ]
    theirs = cared_for(claims, "gpu", ("gpu", "big"))
    assert [one["metadata"]["name"] for one in theirs] == ["model-cache-of-gpu"]


def test_the_time_runs_from_the_mark_or_from_now() -> None:
    """In whole seconds, as it is written down; without a ttl it never ends."""
    (new,) = judged(claim(), ttl=HOUR).unused
    assert (new.since, new.ends, new.marked) == (NOW - 0.5, NOW - 0.5 + HOUR, False)
    (old,) = judged(claim(since=SINCE)).unused
    assert (old.since, old.ends, old.marked) == (NOW - 0.5 - HOUR, None, True)
    (odd,) = judged(claim(since="yesterday"), ttl=HOUR).unused
    assert not odd.marked


def test_who_is_due_and_when_the_next_is() -> None:
    """A claim is due from the second on at which its time is over."""
    found = judged(claim("a", "", SINCE), claim("b"), ttl=HOUR)
    due = [one.claim["metadata"]["name"] for one in found.unused if one.is_due(NOW)]
    assert due == ["model-cache-a"]
    assert found.next_end(NOW) == HOUR - 0.5
    assert judged(claim()).next_end(NOW) is None


@pytest.mark.parametrize("users", [used_by("m"), MOUNTED, ClaimUsers({}, frozenset(), ("?",))])
def test_what_is_used_is_not_judged(users: ClaimUsers) -> None:
    """A Model, a mount or a doubt; a mark that says otherwise goes."""
    found = judged(claim(since=SINCE), users=users, ttl=HOUR)
    assert not found.unused
    assert len(found.marked_in_vain) == 1
    assert found.mounted_only == (users is MOUNTED)


def test_delete_means_at_once_when_all_of_the_last_wanted_it() -> None:
    """Its owners are those who used it last; one who is gone has no say any more."""
    wishes = {"m": Retention.DELETE, "n": Retention.RETAIN}
    (one,) = judged(claim("a", "", "", "m", "gone"), wishes=wishes).unused
    assert one.ends == one.since
    kept = judged(claim("a", "", "", "m", "n"), wishes=wishes)
    assert kept.unused[0].ends is None
    assert [owners for _, owners in kept.disowned] == [[]]
    waits = judged(claim("a", "", "", "m"), users=MOUNTED, wishes=wishes)
    assert waits.mounted_only
    assert not waits.disowned


def test_owners_that_use_it_no_more_go() -> None:
    """Those that do stay, whatever they want; in doubt all stay."""
    found = judged(claim("a", "", "", "m", "n"), users=used_by("n"))
    assert [[owner["uid"] for owner in owners] for _, owners in found.disowned] == [["n"]]
    assert not judged(claim("a", "", "", "n"), users=used_by("n")).disowned
    doubt = ClaimUsers({"a": frozenset({"n"})}, frozenset(), ("?",))
    assert not judged(claim("a", "", "", "m", "n"), users=doubt).disowned


def test_the_status_names_the_longest_unused_first() -> None:
    """At most twenty; without claims there is nothing to tell."""
    assert cache_status(Survey()) is None
    claims = [claim(f"{number:02}") for number in range(NAMED + 5)]
    told = cache_status(judged(*claims, claim("old", "", SINCE), ttl=HOUR))
    assert told is not None
    assert (told["claims"], told["unusedClaims"], len(told["unused"])) == (26, 26, NAMED)
    assert told["size"] == "52.0 GiB"
    assert told["unused"][0] == {
        "claim": "model-cache-old",
        "source": "ai/x",
        "size": "2.0 GiB",
        "since": SINCE,
        "deletedAfter": "2027-01-15T08:00:00Z",
    }


def test_sizes_are_those_of_claims_and_of_weights() -> None:
    """What was given counts before what was asked for; an event tells the weights."""
    assert claim_bytes(claim()) == 2 * 2**30
    assert claim_bytes({"spec": {"resources": {"requests": {"storage": "1Gi"}}}}) == 2**30
    assert claim_bytes({}) == 0
    weights = claim()
    artifact = Artifact(format="gguf", size_bytes=2254857830, files=())
    weights["metadata"]["annotations"]["modelrunner.dev/artifact"] = encode(artifact)
    gone = Unused(claim=weights, since=NOW - 604800, ends=NOW, marked=True)
    assert obituary(gone, now=NOW) == "2.1 GiB of ai/x, unused for 7d (claim model-cache-a)"
    bare = Unused(claim=claim(), since=NOW - 90, ends=NOW, marked=True)
    assert obituary(bare, now=NOW).startswith("2.0 GiB of ai/x, unused for 1m30s (")
    assert "unused for 0s (" in obituary(bare, now=NOW - 90)
