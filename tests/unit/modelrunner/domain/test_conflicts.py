"""Who a name belongs to."""

from typing import Any

import pytest

from modelrunner.domain.conflicts import Claimant, foreign, left_over, name_conflict


def claimant(name: str, created: float, *aliases: str, uid: str = "") -> Claimant:
    """A Model with its names."""
    return Claimant(name=name, uid=uid or name, created=created, names=frozenset({name, *aliases}))


def test_the_older_wins() -> None:
    """Of two with one alias the younger is told, and whom to ask."""
    old, new = claimant("a", 1, "gpt"), claimant("b", 2, "gpt")
    problem = name_conflict(new, [old, new])
    assert problem is not None
    assert problem.reason == "NameConflict"
    assert "'gpt'" in problem.message
    assert "Model a" in problem.message
    assert name_conflict(old, [old, new]) is None


def test_a_name_can_be_an_alias_of_another() -> None:
    """metadata.name and aliases are one space of names."""
    problem = name_conflict(claimant("gpt", 2), [claimant("a", 1, "gpt")])
    assert problem is not None
    assert "use another name" in problem.message


def test_within_one_second_the_uid_decides() -> None:
    """Both sides come to the same answer."""
    one, two = claimant("a", 1, "x", uid="1"), claimant("b", 1, "x", uid="2")
    assert name_conflict(one, [two, one]) is None
    assert name_conflict(two, [two, one]) is not None


def deployment(*, owner: str = "", managed: bool = False) -> dict[str, Any]:
    """A Deployment named m."""
    labels = {
        "app.kubernetes.io/managed-by": "model-runner-operator",
        "modelrunner.dev/model": "m",
    }
    owners = [{"uid": owner, "controller": True, "kind": "Model"}] if owner else []
    return {
        "metadata": {"name": "m", "labels": labels if managed else {}, "ownerReferences": owners}
    }


@pytest.mark.parametrize(
    ("found", "strange", "former"),
    [
        (None, False, False),
        (deployment(owner="u"), False, False),
        (deployment(owner="u", managed=True), False, False),
        (deployment(managed=True), False, False),
        (deployment(owner="older", managed=True), False, True),
        (deployment(), True, False),
        (deployment(owner="other"), True, True),
    ],
)
def test_whose_it_is(found: dict[str, Any] | None, strange: bool, former: bool) -> None:
    """Ours by controller or by labels; a former Model's is left to the collector."""
    assert (foreign(found, "Deployment", model="m", uid="u") is not None) is strange
    assert left_over(found, uid="u") is former
