"""From where claims can be mounted, and what is wrong with those that users made."""

from typing import Any

import pytest

from modelrunner.domain.naming import VOLUMES_ANNOTATION, cache_label
from modelrunner.domain.volumes import (
    Mount,
    Reach,
    asked_mode,
    claim_problem,
    labels,
    mount,
    other_volumes,
    together,
    unbound_words,
    unlabelled,
    writing,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, settings_of

ONCE, MANY, READ, ONE_POD = (
    "ReadWriteOnce",
    "ReadWriteMany",
    "ReadOnlyMany",
    "ReadWriteOncePod",
)
SHARED: dict[str, Any] = {"cache": {"existingClaim": "shared"}}


def claim(*asked: str, bound: tuple[str, ...] = (), **status: Any) -> dict[str, Any]:
    """A claim that asks for these modes, and is bound to a volume with those."""
    told = {"phase": "Bound", "accessModes": list(bound)} if bound else {"phase": "Pending"}
    return {
        "metadata": {"name": "c"},
        "spec": {"accessModes": list(asked)},
        "status": told | status,
    }


@pytest.mark.parametrize(
    ("found", "reach", "read_only", "writable"),
    [
        (None, Reach.NODE, False, True),
        (claim(ONCE), Reach.NODE, False, True),
        (claim(MANY), Reach.ANYWHERE, False, True),
        (claim(ONE_POD), Reach.POD, False, True),
        (claim(READ), Reach.ANYWHERE, True, False),
        (claim(ONCE, bound=(ONCE, MANY)), Reach.ANYWHERE, False, True),
        (claim(ONCE, bound=(ONCE, READ)), Reach.ANYWHERE, True, True),
        (claim(ONCE, bound=(ONCE, ONE_POD)), Reach.NODE, False, True),
        (claim(READ, MANY, bound=(READ,)), Reach.ANYWHERE, True, False),
        ({"spec": {"accessModes": "x"}}, Reach.NODE, False, True),
    ],
)
def test_what_a_claim_offers(found: Any, reach: Reach, read_only: bool, writable: bool) -> None:
    """The bound volume's modes before those that were asked for, and ours where there is none."""
    assert mount("c", found, ONCE) == Mount(
        claim="c", reach=reach, read_only=read_only, writable=writable
    )


def test_a_writer_does_not_spread_as_far_as_readers() -> None:
    """A pull mounts to write: the mode for readers on many nodes is none for it."""
    both = claim(ONCE, bound=(ONCE, READ))
    assert writing(mount("c", both, ONCE), both, ONCE).reach is Reach.NODE
    many = claim(MANY)
    assert writing(mount("c", many, ONCE), many, ONCE).reach is Reach.ANYWHERE
    read = mount("c", claim(READ), ONCE)
    assert writing(read, claim(READ), ONCE) == read


def test_two_claims_reach_as_far_as_the_nearer_one() -> None:
    """The draft's comes first: its pods may be there before; a claim of both counts once."""
    far, near = mount("a", claim(MANY), ONCE), mount("b", claim(ONCE), ONCE)
    assert together(far, near).reach is Reach.NODE
    assert together(far, near).tied == ["b"]
    assert together(mount("a", claim(ONCE), ONCE), near).tied == ["b", "a"]
    assert together(near, near).tied == ["b"]
    assert together(far, None).tied == []
    assert together(near, mount("p", claim(ONE_POD), ONCE)).reach is Reach.POD
    assert together(far, near).words == "a=anywhere b=node"


def test_the_mode_that_is_asked_for() -> None:
    """Of our own claims the settings'; of a claim that we have not seen, the most cautious."""
    assert asked_mode(settings_of(HTTP, {"cache": {"accessMode": MANY}})) == MANY
    assert asked_mode(settings_of(HTTP, SHARED)) == ONCE
    assert asked_mode(settings_of(CLAIM)) == ONCE


@pytest.mark.parametrize(
    ("spec", "runner", "found", "reason", "words"),
    [
        (HTTP, {}, None, "", ""),
        (HTTP, SHARED, claim(ONCE), "", ""),
        (HTTP, SHARED, None, "InvalidConfiguration", "does not exist in the namespace ml: create"),
        (CLAIM, {}, None, "InvalidConfiguration", "spec.source.persistentVolumeClaim names"),
        (CLAIM, SHARED, None, "InvalidConfiguration", "PersistentVolumeClaim mine"),
        (HTTP, SHARED, claim(ONCE, phase="Lost"), "PullFailed", "lost its volume: restore"),
        (
            HTTP,
            SHARED,
            {"metadata": {"deletionTimestamp": "2026-11-21T10:00:00Z"}},
            "InvalidConfiguration",
            "is being deleted",
        ),
        (
            HTTP,
            SHARED,
            {"metadata": {}, "spec": {"volumeMode": "Block"}},
            "InvalidConfiguration",
            "raw block device",
        ),
    ],
)
def test_claims_of_users(
    spec: dict[str, Any], runner: dict[str, Any], found: Any, reason: str, words: str
) -> None:
    """What keeps one from being used is told with the field that names it, and a mend."""
    problem = claim_problem(settings_of(spec, runner), found)
    assert (str(problem.reason) if problem else "") == reason
    assert words in (problem.message if problem else "")


def pod(*claims: str, node: str = "n", **more: Any) -> dict[str, Any]:
    """A pod that mounts these claims."""
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    return {
        "metadata": {"name": "p", "labels": more.pop("labels", {}), **more.pop("metadata", {})},
        "spec": {"nodeName": node, "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}]},
        "status": {"phase": more.pop("phase", "Running")},
    }


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (pod("a"), {"a"}),
        (pod("a", "b"), {"a", "b"}),
        (pod("a", "b", labels=labels(["a"])), {"b"}),
        (pod("a", labels=labels(["a"])), set()),
        (pod("c"), set()),
        (pod("a", node=""), set()),
        (pod("a", phase="Succeeded"), set()),
        (pod("a", metadata={"deletionTimestamp": "x"}), set()),
    ],
)
def test_pods_without_the_label(found: dict[str, Any], missing: set[str]) -> None:
    """Those on nodes that live and mount one of the claims; each gets what it lacks."""
    assert unlabelled([found], ["a", "b"]) == ([(found, labels(missing))] if missing else [])


def test_labels_are_valid_and_of_one_claim_each() -> None:
    """Whatever the name of the claim, the label's name is short enough."""
    assert len(cache_label("x" * 253).partition("/")[2]) <= 63
    assert cache_label("a") != cache_label("b")


def test_another_reach_is_another_pod() -> None:
    """Only where the Deployment says what it was made for."""

    def noted(words: str) -> dict[str, Any]:
        return {"metadata": {"annotations": {VOLUMES_ANNOTATION: words} if words else {}}}

    assert other_volumes(noted("c=node"), noted("c=anywhere"))
    assert not other_volumes(noted("c=node"), noted("c=node"))
    assert not other_volumes(noted(""), noted("c=node"))


def test_a_claim_without_a_volume() -> None:
    """The words name the claim, its mode and class, and the command that tells more."""
    said = unbound_words(claim(MANY))
    assert "PersistentVolumeClaim c (ReadWriteMany, the default storage class)" in said
    assert "`kubectl describe persistentvolumeclaim c`" in said
    assert unbound_words(claim(MANY, bound=(MANY,))) == unbound_words(None) == ""
