"""The desired Deployment and Service of a Model."""

import json
from dataclasses import replace
from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.effective import OperatorDefaults
from modelrunner.render import jobs, serving
from modelrunner_protocol import wire
from modelrunner_protocol.codec import decode
from modelrunner_protocol.wire import (
    FileKind,
    RunConfig,
    WeightsFile,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, settings_of
from tests.unit.modelrunner.render.rendered import (
    ARTIFACT,
    DEFAULTS,
    OWNER,
    deployment,
    draft_of,
    env,
    pod,
)


def test_the_deployment_is_the_same_every_time() -> None:
    """Equal settings render to equal text, hashes included, and never to replicas."""
    assert json.dumps(deployment()) == json.dumps(deployment())
    assert "replicas" not in deployment()["spec"]


def test_what_the_runner_is_told() -> None:
    """The RunConfig holds the Model's settings and the path of its weights."""
    spec = HTTP | {"aliases": ["a"], "config": {"contextSize": 99, "runtimeFlags": ["--temp", "1"]}}
    config = decode(RunConfig, env(deployment(spec))["RUNNERD_CONFIG"])
    key = settings_of().key
    assert config.weights == f"/models/{key}/m.gguf"
    assert (config.model, config.namespace, config.runner) == ("m", "ml", "gpu")
    assert (config.context_size, config.runtime_flags, config.aliases) == (
        99,
        ("--temp", "1"),
        ("a",),
    )
    in_place = decode(RunConfig, env(deployment(CLAIM))["RUNNERD_CONFIG"])
    assert in_place.weights == "/models/a/m.gguf"


def test_the_kubelet_expands_nothing() -> None:
    """$(VAR) and $$ in a setting reach the runner as they were written."""
    spec = HTTP | {"warmup": {"prompt": "$(HOME) costs $$5"}}
    text = env(deployment(spec))["RUNNERD_CONFIG"]
    assert "$" not in text
    assert decode(RunConfig, text).warmup.prompt == "$(HOME) costs $$5"


def test_an_accelerator_changes_how_pods_roll() -> None:
    """No surge, its limit, and shared memory."""
    found = deployment(
        runner={
            "accelerator": {"resource": "nvidia.com/gpu", "count": 2},
            "resources": {"limits": {"memory": "2Gi"}},
        }
    )
    assert found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    container = pod(found)["containers"][0]
    assert container["resources"] == {"limits": {"memory": "2Gi", "nvidia.com/gpu": "2"}}
    assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in pod(found)["volumes"]
    plain = deployment()
    assert plain["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "shm" not in str(plain)


def test_timeouts_reach_kubernetes() -> None:
    """A load may take as long as its user says, and so may a drain."""
    found = deployment(runner={"startupTimeout": "2h", "drainTimeout": "90s"})
    assert found["spec"]["progressDeadlineSeconds"] == 7200 + 600
    assert pod(found)["terminationGracePeriodSeconds"] == 105


def test_an_upgrade_of_the_operator_changes_only_what_was_rendered() -> None:
    """Another default image: the same inputs. Another wish of the user: other inputs."""
    notes = deployment()["metadata"]["annotations"]
    newer = deployment(defaults=OperatorDefaults(runner_image="operator/runner:2"))
    upgraded = newer["metadata"]["annotations"]
    assert upgraded[naming.INPUTS_ANNOTATION] == notes[naming.INPUTS_ANNOTATION]
    assert upgraded[naming.RENDERED_ANNOTATION] != notes[naming.RENDERED_ANNOTATION]
    other = deployment(HTTP | {"warmup": {"enabled": False}})["metadata"]["annotations"]
    assert other[naming.INPUTS_ANNOTATION] != notes[naming.INPUTS_ANNOTATION]
    own = deployment(runner={"images": {"llamaCpp": "mine:1"}})
    assert pod(own)["containers"][0]["image"] == "mine:1"
    assert (
        own["metadata"]["annotations"][naming.INPUTS_ANNOTATION] != notes[naming.INPUTS_ANNOTATION]
    )


def test_the_overlay_comes_last_and_its_strings_are_rendered() -> None:
    """PodTemplate wins over everything, and may name the Model."""
    found = deployment(
        runner={
            "env": [{"name": "WHO", "value": "{{ model.namespace }}/{{ model.name }}"}],
            "scheduling": {"nodeSelector": {"a": "b"}},
            "podTemplate": {
                "metadata": {"labels": {"team": "{{ runner.name }}"}},
                "spec": {"nodeSelector": {"c": "d"}, "priorityClassName": "x"},
            },
        }
    )
    assert env(found)["WHO"] == "ml/m"
    assert pod(found)["nodeSelector"] == {"a": "b", "c": "d"}
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "gpu"
    assert labels[naming.MODEL_LABEL] == "m"


def test_what_belongs_to_a_model_reaches_its_runner() -> None:
    """The paths of a projector and a chat template in the cache."""
    files = (
        *ARTIFACT.files,
        WeightsFile(path="t", size_bytes=1, kind=FileKind.CHAT_TEMPLATE),
        WeightsFile(path="p", size_bytes=1, kind=FileKind.PROJECTOR),
    )
    found = deployment(OCI, artifact=replace(ARTIFACT, files=files))
    config = decode(RunConfig, env(found)["RUNNERD_CONFIG"])
    folder = f"/models/{settings_of(OCI).key}"
    assert (config.chat_template, config.projector) == (f"{folder}/t", f"{folder}/p")


SPECULATIVE: dict[str, Any] = HTTP | {
    "config": {"speculative": {"draftModel": "d", "numTokens": 4, "minAcceptanceRate": 0.5}}
}


def test_a_draft_is_mounted_beside() -> None:
    """Another Model's cache, read only, and the runner is told its place and its bounds."""
    found = serving.deployment(settings_of(SPECULATIVE), ARTIFACT, DEFAULTS, OWNER, draft_of(OCI))
    key = settings_of(OCI).key
    assert decode(RunConfig, env(found)["RUNNERD_CONFIG"]).draft == wire.Draft(
        weights=f"/draft/{key}/m.gguf", max_tokens=4, min_probability=0.5
    )
    mounts = {mount["mountPath"]: mount for mount in pod(found)["containers"][0]["volumeMounts"]}
    assert mounts["/draft"] == {"name": "draft", "mountPath": "/draft", "readOnly": True}
    volumes = {volume["name"]: volume for volume in pod(found)["volumes"]}
    assert volumes["draft"]["persistentVolumeClaim"] == {
        "claimName": naming.claim_name(key),
        "readOnly": True,
    }
    in_place = serving.deployment(
        settings_of(SPECULATIVE), ARTIFACT, DEFAULTS, OWNER, draft_of(CLAIM)
    )
    assert '"draft":{"weights":"/draft/a/m.gguf"' in env(in_place)["RUNNERD_CONFIG"]


def test_another_draft_means_other_pods() -> None:
    """Its weights and its place count; without a draft the hash is what it always was."""
    settings = settings_of(SPECULATIVE)
    other = replace(ARTIFACT, digest="sha256:bb")
    hashes = {
        serving.inputs(settings, ARTIFACT),
        serving.inputs(settings, ARTIFACT, draft_of(OCI)),
        serving.inputs(settings, ARTIFACT, draft_of(CLAIM)),
        serving.inputs(settings, ARTIFACT, replace(draft_of(OCI), artifact=other)),
    }
    assert len(hashes) == 4
    assert serving.inputs(settings_of(), ARTIFACT) == serving.inputs(settings_of(), ARTIFACT, None)
    assert "draft" not in json.dumps(deployment())


def test_a_service_leads_to_runners_alone() -> None:
    """Pods of Jobs carry the Model's labels as well: a request must never end at a pull."""
    found = serving.service(settings_of(), OWNER)["spec"]["selector"]
    runner = pod_labels(serving.deployment(settings_of(), ARTIFACT, DEFAULTS, OWNER))
    assert found.items() <= runner.items()
    job = pod_labels(jobs.pull_job(settings_of(), DEFAULTS, [OWNER], 1, ARTIFACT))
    assert not found.items() <= job.items()


def pod_labels(found: dict[str, Any]) -> dict[str, str]:
    """The labels that pods are made with."""
    labels: dict[str, str] = found["spec"]["template"]["metadata"]["labels"]
    return labels
