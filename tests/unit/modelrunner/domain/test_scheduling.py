"""What pods wait for, and what is said about their volumes."""

from typing import Any

import pytest

from modelrunner.domain.cache import CacheFacts, decide_cache
from modelrunner.domain.jobs import look_at_job
from modelrunner.domain.naming import ARTIFACT_ANNOTATION
from modelrunner.domain.objects import parse_time
from modelrunner.domain.scheduling import BINDING_GRACE, binding_wait, held_since
from modelrunner.domain.scheduling import unschedulable as judge
from modelrunner_protocol.codec import encode
from tests.unit.modelrunner.domain.pod_json import (
    CREATED,
    NOW,
    RUNNING,
    Object,
    container,
    pod,
    terminated,
    unschedulable,
    waiting,
)
from tests.unit.modelrunner.domain.settings_of import settings_of
from tests.unit.modelrunner.domain.test_cache import ARTIFACT

BORN = parse_time(CREATED)
ON_NODE = {"PodScheduled": "True"}
CREATING = [container(waiting("ContainerCreating"))]


def pending(*, node: str = "n1", address: str = "", **more: Any) -> Object:
    """A pod that does not run yet."""
    found = pod(phase="Pending", node=node, **more)
    found["status"]["podIP"] = address
    return found


def with_claim(found: Object, name: str = "c") -> Object:
    """The same pod with a claim."""
    found["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]
    return found


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (unschedulable("0/2 nodes are available"), True),
        (pending(node=""), False),
        (pending(node="", conditions={"PodScheduled": "False"}), False),
        (pending(conditions=ON_NODE, containers=CREATING), True),
        (pending(conditions=ON_NODE), True),
        (pending(conditions=ON_NODE, containers=[container(waiting("PodInitializing"))]), True),
        (pending(conditions=ON_NODE, containers=[container(waiting("ImagePullBackOff"))]), False),
        (pending(conditions=ON_NODE, containers=[container(terminated(1))]), False),
        (pending(conditions=ON_NODE, containers=CREATING, address="10.0.0.1"), False),
        (
            pending(
                conditions={**ON_NODE, "PodReadyToStartContainers": "True"}, containers=CREATING
            ),
            False,
        ),
        (pod(conditions=ON_NODE, containers=[container(RUNNING)]), False),
    ],
)
def test_what_a_pod_waits_for(found: Object, held: bool) -> None:
    """A node, or its volumes and network; not an image, and not an engine."""
    assert held_since(found) == (BORN if held else None)


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod affinity rules.",
            "pods that mount the same ReadWriteOnce volume have to share its node",
        ),
        (
            (
                "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with"
                " ReadWriteOncePod access mode already in-use by another pod."
            ),
            "which one pod at a time can mount",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "`kubectl describe persistentvolumeclaim c` tells why",
        ),
        (
            'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
            "offers the access mode (spec.cache.storageClassName and accessMode",
        ),
    ],
)
def test_mends_of_volumes(words: str, mend: str) -> None:
    """What is said names the volume, or what its access mode means."""
    found = judge(with_claim(unschedulable(words)), now=NOW + BINDING_GRACE)
    assert found is not None
    assert mend in found.message


def test_a_volume_that_does_not_come_is_looked_at_in_time() -> None:
    """Whether or not the scheduler has said a word of it: that is what such a wait is about."""
    silent = pending(node="")
    assert binding_wait(silent, now=NOW - 10) == pytest.approx(10)
    assert binding_wait(silent, now=NOW) is None
    assert binding_wait(pending(), now=NOW - 10) is None


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (10, "pulling http://files.example/m.gguf (953.7 MiB): waiting for the scheduler"),
        (31, "PersistentVolumeClaim c (ReadWriteMany, storage class slow) has no volume yet"),
    ],
)
def test_a_pull_without_a_volume_names_the_claim(age: float, words: str) -> None:
    """A class that cannot do what was asked leaves the claim Pending, and only it knows why."""
    claim = {
        "metadata": {"name": "c", "annotations": {ARTIFACT_ANNOTATION: encode(ARTIFACT)}},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "slow"},
        "status": {"phase": "Pending"},
    }
    job = {"metadata": {"name": "pull-x", "creationTimestamp": CREATED}}
    facts = CacheFacts(
        claim=claim,
        recorded_by=(),
        resolve=None,
        pull=look_at_job(job, [pending(node="")], now=NOW - 30 + age),
    )
    found = decide_cache(settings_of(), facts, now=NOW)
    assert words in found.verdict.message
    assert str(found.verdict.reason) == "Pulling"
