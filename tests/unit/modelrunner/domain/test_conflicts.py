"""Who a name belongs to."""

from typing import Any

import pytest

from modelrunner.domain.conflicts import foreign, left_over, lost_names
from modelrunner.domain.names import Claimant


def owner(path: str) -> Claimant:
    """An older Model."""
    namespace, _, name = path.partition("/")
    return Claimant(namespace, name, path, "2026-11-21T10:00:00Z")


def test_a_model_that_has_all_its_names_has_nothing_to_tell() -> None:
    """No condition."""
    assert lost_names("ml/m", []) is None


def test_lost_names_are_told_with_whom_they_reach_and_how_to_mend() -> None:
    """An alias is removed, a name is changed, and `namespace/name` works whatever happens."""
    alias = lost_names("ml/m", [("gpt", owner("web/old"))])
    assert alias is not None
    assert alias.reason == "NameConflict"
    assert "'gpt' goes to web/old" in alias.message
    assert "remove the alias here, or remove it there" in alias.message
    assert "'ml/m' always reaches this one" in alias.message
    name = lost_names("ml/m", [("m", owner("web/m"))])
    assert name is not None
    assert "give this Model another name, or remove it there" in name.message
    both = lost_names("ml/m", [("m", owner("web/m")), ("gpt", owner("web/old"))])
    assert both is not None
    assert "another name, or remove the alias here, or remove it there" in both.message


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
