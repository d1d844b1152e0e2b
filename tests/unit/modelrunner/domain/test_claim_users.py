"""Who uses a cache claim."""

from typing import Any

import pytest

from modelrunner.domain.claim_users import claim_users, claims_of


def model(name: str, **meta: Any) -> dict[str, Any]:
    """A Model whose keys are its name's letters."""
    return {"metadata": {"name": name, "uid": f"u-{name}", **meta}}


def claim(key: str, source: str = "") -> dict[str, Any]:
    """The claim of an artifact, of a version of a source."""
    labels = {"modelrunner.dev/artifact": key}
    labels |= {"modelrunner.dev/source-key": source} if source else {}
    return {"metadata": {"name": f"model-cache-{key}", "labels": labels}}


def pod(claim_name: str, **status: str) -> dict[str, Any]:
    """A pod that mounts a claim, among others."""
    volumes = [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": claim_name}}]
    return {"metadata": {"name": "p"}, "spec": {"volumes": volumes}, "status": status}


def template(claim_name: str, **status: Any) -> dict[str, Any]:
    """A Deployment or Job whose pods mount it."""
    return {"spec": {"template": pod(claim_name)}, "status": status}


def letters(found: Any) -> frozenset[str] | None:
    """The keys of a Model; one that is called "?" cannot be read."""
    name = found["metadata"]["name"]
    return None if name == "?" else frozenset(name)


def test_a_source_and_its_versions_are_referred_to() -> None:
    """By the key of the source or of a version, on the claim's label for either."""
    users = claim_users([model("ab"), model("b")], [], keys_of=letters)
    assert users.referrers(claim("a")) == {"u-ab"}
    assert users.referrers(claim("b")) == {"u-ab", "u-b"}
    assert users.referrers(claim("x", "a")) == {"u-ab"}
    assert not users.referrers(claim("x", "y"))
    assert not users.uses(claim("x", "y"))
    assert not users.uses({"metadata": {"name": "bare"}})


def test_a_model_that_goes_refers_to_nothing() -> None:
    """What it still runs mounts the claim, which counts by itself."""
    gone = model("a", deletionTimestamp="2026-01-01T00:00:00Z")
    assert not claim_users([gone], [], keys_of=letters).uses(claim("a"))
    assert claim_users([gone], [pod("model-cache-a")], keys_of=letters).uses(claim("a"))


def test_what_cannot_be_read_may_refer_to_anything() -> None:
    """Then no claim is without a user."""
    users = claim_users([model("?")], [], keys_of=letters)
    assert users.uses(claim("a"))
    assert not users.referrers(claim("a"))


@pytest.mark.parametrize(
    ("holder", "mounts"),
    [
        (pod("c"), True),
        (pod("c", phase="Running"), True),
        (pod("c", phase="Succeeded"), False),
        (pod("c", phase="Failed"), False),
        (template("c"), True),
        (template("c", replicas=0), True),
        (template("c", conditions=[{"type": "Complete", "status": "True"}]), False),
        (template("c", conditions=[{"type": "Failed", "status": "True"}]), False),
        (template("c", conditions=[{"type": "Available", "status": "True"}]), True),
        ({"metadata": {"name": "empty"}}, False),
    ],
)
def test_what_mounts_a_claim(holder: dict[str, Any], mounts: bool) -> None:
    """Pods until they end, Deployments even at zero, Jobs until they finish."""
    assert claims_of(holder) == (frozenset({"c"}) if mounts else frozenset())
