"""Pods that share a node because of a volume."""

import copy
from typing import Any

import pytest

from modelrunner.domain.naming import cache_label
from modelrunner.render import jobs, serving
from modelrunner.render.placement import follow
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, settings_of
from tests.unit.modelrunner.render.rendered import (
    ARTIFACT,
    DEFAULTS,
    OWNER,
    deployment,
    draft_of,
    pod,
)

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
THEIRS: dict[str, Any] = {
    "topologyKey": "zone",
    "labelSelector": {"matchLabels": {"app": "db"}},
}


def term(claim: str) -> dict[str, Any]:
    """The term that looks for pods with this claim."""
    return {
        "labelSelector": {"matchLabels": {cache_label(claim): "true"}},
        "topologyKey": "kubernetes.io/hostname",
    }


def own_claim(spec: dict[str, Any]) -> str:
    """The name of the claim that is made for a source."""
    return f"model-cache-{settings_of(spec).key}"


def labels(found: dict[str, Any]) -> set[str]:
    """The labels of the pods that say what they mount."""
    of = found["spec"]["template"]["metadata"]["labels"]
    return {label for label in of if label.startswith("modelrunner.dev/cache-")}


def user_claim(*modes: str) -> dict[str, Any]:
    """A claim that offers these modes."""
    return {"metadata": {"name": "x"}, "spec": {"accessModes": list(modes)}}


def test_one_required_term_and_a_label() -> None:
    """A pod matches its own term, so that it may be the first on any node."""
    found = deployment()
    assert pod(found)["affinity"] == {"podAffinity": {REQUIRED: [term(own_claim(HTTP))]}}
    assert labels(found) == {cache_label(own_claim(HTTP))}
    assert found["metadata"]["annotations"]["modelrunner.dev/volumes"].endswith("=node")


@pytest.mark.parametrize("way", ["scheduling", "podTemplate"])
def test_what_users_say_of_their_place_stays(way: str) -> None:
    """The scheduler wants one pod to match ALL required terms: theirs alone stay required."""
    affinity = {
        "nodeAffinity": {"a": []},
        "podAffinity": {REQUIRED: [THEIRS]},
        "podAntiAffinity": {REQUIRED: [THEIRS]},
    }
    runner = {
        way: {"affinity": affinity} if way == "scheduling" else {"spec": {"affinity": affinity}}
    }
    before = copy.deepcopy(runner)
    found = pod(deployment(HTTP, runner))["affinity"]
    ours = {"weight": 100, "podAffinityTerm": term(own_claim(HTTP))}
    assert found == affinity | {"podAffinity": {REQUIRED: [THEIRS], PREFERRED: [ours]}}
    assert runner == before


def test_preferences_of_users_stay_beside_our_requirement() -> None:
    """Preferred terms are looked at one by one."""
    theirs = {"weight": 1, "podAffinityTerm": THEIRS}
    runner = {"scheduling": {"affinity": {"podAffinity": {PREFERRED: [theirs]}}}}
    found = pod(deployment(HTTP, runner))["affinity"]["podAffinity"]
    assert found == {REQUIRED: [term(own_claim(HTTP))], PREFERRED: [theirs]}


def test_a_draft_comes_first() -> None:
    """Its pods may run already: it is required, the own claim preferred; others find both."""
    found = serving.deployment(settings_of(HTTP), ARTIFACT, DEFAULTS, OWNER, draft_of(OCI))
    ours = {"weight": 100, "podAffinityTerm": term(own_claim(HTTP))}
    assert pod(found)["affinity"]["podAffinity"] == {
        REQUIRED: [term(own_claim(OCI))],
        PREFERRED: [ours],
    }
    assert labels(found) == {cache_label(own_claim(HTTP)), cache_label(own_claim(OCI))}


@pytest.mark.parametrize("modes", [["ReadWriteMany"], ["ReadWriteMany", "ReadWriteOnce"]])
def test_volumes_of_all_nodes_tie_nothing(modes: list[str]) -> None:
    """Neither runners nor Jobs."""
    settings = settings_of(HTTP, {"cache": {"existingClaim": "x"}})
    claim = user_claim(*modes)
    found = [
        serving.deployment(settings, ARTIFACT, DEFAULTS, OWNER, claim=claim),
        jobs.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT, claim),
        jobs.resolve_job(settings, DEFAULTS, [OWNER], 1, claim),
    ]
    for one in found:
        assert "affinity" not in pod(one)
        assert labels(one) == set()


def test_volumes_to_read_on_all_nodes() -> None:
    """Runners mount them to read; a pull, which writes, keeps to one node."""
    settings = settings_of(HTTP, {"cache": {"existingClaim": "x"}})
    claim = user_claim("ReadWriteOnce", "ReadOnlyMany")
    runners = pod(serving.deployment(settings, ARTIFACT, DEFAULTS, OWNER, claim=claim))
    assert runners["volumes"][0]["persistentVolumeClaim"] == {"claimName": "x", "readOnly": True}
    assert "affinity" not in runners
    pull = pod(jobs.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT, claim))
    assert pull["volumes"][0]["persistentVolumeClaim"] == {"claimName": "x"}
    assert "affinity" in pull


def test_one_pod_at_a_time_rolls_without_a_surge() -> None:
    """The new pod could never start beside the old one."""
    settings = settings_of(HTTP, {"cache": {"existingClaim": "x"}})
    claim = user_claim("ReadWriteOncePod")
    found = serving.deployment(settings, ARTIFACT, DEFAULTS, OWNER, claim=claim)
    assert found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    usual = deployment()["spec"]["strategy"]["rollingUpdate"]
    assert usual == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_resolve_looks_at_the_shared_claim() -> None:
    """It only reads, but a new disk can be formatted; the name is that of key and claim."""
    settings = settings_of(HTTP, {"cache": {"existingClaim": "x"}})
    found = jobs.resolve_job(settings, DEFAULTS, [OWNER], 1, user_claim("ReadWriteOnce"))
    assert pod(found)["volumes"][0]["persistentVolumeClaim"] == {"claimName": "x"}
    mount = pod(found)["containers"][0]["volumeMounts"][0]
    assert mount == {"name": "cache", "mountPath": "/models", "readOnly": True}
    assert labels(found) == {cache_label("x")}
    plain = jobs.resolve_job(settings_of(), DEFAULTS, [OWNER], 1)
    assert found["metadata"]["name"].startswith(f"{plain['metadata']['name']}-")
    read = jobs.resolve_job(settings, DEFAULTS, [OWNER], 1, user_claim("ReadOnlyMany"))
    assert pod(read)["volumes"][0]["persistentVolumeClaim"]["readOnly"] is True


def test_jobs_go_where_the_volume_is() -> None:
    """Pulls, and looks at weights in place; a plain resolve mounts nothing and goes anywhere."""
    pull = jobs.pull_job(settings_of(), DEFAULTS, [OWNER], 1, ARTIFACT)
    assert pod(pull)["affinity"]["podAffinity"][REQUIRED] == [term(own_claim(HTTP))]
    place = jobs.resolve_job(settings_of(CLAIM), DEFAULTS, [OWNER], 1)
    assert pod(place)["affinity"]["podAffinity"][REQUIRED] == [term("mine")]
    assert "affinity" not in pod(jobs.resolve_job(settings_of(), DEFAULTS, [OWNER], 1))


def test_twice_is_once_for_what_is_not_tied() -> None:
    """Without claims a template is what it was."""
    template = deployment()["spec"]["template"]
    assert follow(template, []) == template
