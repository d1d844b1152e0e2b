"""The desired objects."""

import json
from dataclasses import replace
from typing import Any

import pytest

from modelrunner.domain import naming
from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import MonitoringSettings, OperatorDefaults
from modelrunner.render import objects
from modelrunner.render.objects import Owner
from modelrunner_protocol import wire
from modelrunner_protocol.codec import decode
from modelrunner_protocol.wire import (
    Artifact,
    Credentials,
    FileKind,
    PullConfig,
    RunConfig,
    WeightsFile,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, settings_of

ARTIFACT = Artifact(
    format="gguf",
    size_bytes=1000,
    files=(WeightsFile(path="m.gguf", size_bytes=1000),),
    digest="sha256:aa",
)
DEFAULTS = OperatorDefaults(runner_image="operator/runner:1", image_pull_policy="IfNotPresent")
OWNER = Owner("Model", "m", "u")


def deployment(
    spec: dict[str, Any] | None = None,
    runner: dict[str, Any] | None = None,
    artifact: Artifact = ARTIFACT,
    defaults: OperatorDefaults = DEFAULTS,
) -> dict[str, Any]:
    """The Deployment of these settings."""
    return objects.deployment(settings_of(spec, runner), artifact, defaults, OWNER)


def pod(found: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec in a Deployment or Job."""
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def env(found: dict[str, Any]) -> dict[str, str]:
    """The variables of the first container."""
    return {item["name"]: item.get("value", "") for item in pod(found)["containers"][0]["env"]}


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


def test_jobs_follow_the_runner_to_its_node() -> None:
    """Place and identity are the runner's; the accelerator and the side containers are not."""
    settings = settings_of(
        HTTP,
        {
            "accelerator": {"resource": "nvidia.com/gpu"},
            "scheduling": {"nodeSelector": {"a": "b"}, "runtimeClassName": "nvidia"},
            "env": [
                {"name": "HTTPS_PROXY", "value": "http://p"},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "podTemplate": {
                "metadata": {"annotations": {"a": "b"}},
                "spec": {
                    "imagePullSecrets": [{"name": "s"}],
                    "containers": [{"name": "side", "image": "x"}],
                },
            },
        },
    )
    found = objects.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
    spec = pod(found)
    assert spec["nodeSelector"] == {"a": "b"}
    assert "runtimeClassName" not in spec
    assert spec["imagePullSecrets"] == [{"name": "s"}]
    assert [one["name"] for one in spec["containers"]] == ["pull"]
    assert "nvidia" not in str(found)
    assert set(env(found)) == {"RUNNERD_PULL", "HTTPS_PROXY"}
    assert found["spec"]["backoffLimit"] == 0


def test_a_later_try_takes_what_it_meets() -> None:
    """What was resolved may be what is wrong."""
    settings = settings_of()
    first = objects.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
    second = objects.pull_job(settings, DEFAULTS, [OWNER], 2, ARTIFACT)
    assert decode(PullConfig, env(first)["RUNNERD_PULL"]).expected == ARTIFACT
    assert decode(PullConfig, env(second)["RUNNERD_PULL"]).expected is None


def test_a_resolve_mounts_only_what_it_reads() -> None:
    """Nothing for a URL; the user's volume, read-only, for a file on it."""
    plain = objects.resolve_job(settings_of(), DEFAULTS, [OWNER], 1)
    assert [one["name"] for one in pod(plain)["volumes"]] == ["tmp"]
    found = objects.resolve_job(settings_of(CLAIM), DEFAULTS, [OWNER], 1)
    assert pod(found)["volumes"][0]["persistentVolumeClaim"] == {
        "claimName": "mine",
        "readOnly": True,
    }


@pytest.mark.parametrize("kind", ["resolve", "pull"])
def test_a_secret_is_mounted_into_jobs_alone(kind: str) -> None:
    """Only its config.json, read-only; a Secret that is missing does not keep the pod waiting."""
    settings = settings_of(OCI)
    if kind == "pull":
        found = objects.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
    else:
        found = objects.resolve_job(settings, DEFAULTS, [OWNER], 1)
    volume = next(one for one in pod(found)["volumes"] if one["name"] == "credentials")
    assert volume["secret"] == {
        "secretName": "pull",
        "optional": True,
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
    }
    mounts = pod(found)["containers"][0]["volumeMounts"]
    assert {"name": "credentials", "mountPath": "/credentials", "readOnly": True} in mounts
    config = decode(PullConfig, env(found)["RUNNERD_PULL"])
    assert config.credentials == Credentials(secret="pull", folder="/credentials")
    assert "pull" not in str(pod(deployment(OCI))["volumes"])


def test_a_token_is_mounted_under_its_own_name() -> None:
    """The Hub's token is the key `token` of the Secret."""
    hub = {"huggingFace": {"repository": "acme/m"}, "credentialsSecret": "hub"}
    found = objects.pull_job(settings_of({"source": hub}), DEFAULTS, [OWNER], 1, ARTIFACT)
    volume = next(one for one in pod(found)["volumes"] if one["name"] == "credentials")
    assert volume["secret"]["items"] == [{"key": "token", "path": "token"}]


def test_keys_of_a_bucket_are_mounted_into_jobs() -> None:
    """By the names of the variables that S3's tools have; more of the Secret is not."""
    bucket = {"s3": {"bucket": "b-1"}, "credentialsSecret": "keys"}
    found = objects.pull_job(settings_of({"source": bucket}), DEFAULTS, [OWNER], 1, ARTIFACT)
    volume = next(one for one in pod(found)["volumes"] if one["name"] == "credentials")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    assert volume["secret"]["items"] == [{"key": name, "path": name} for name in names]


def test_another_secret_is_another_job() -> None:
    """A Job that failed for its credentials is made again; Jobs without any stay what they were."""
    bare = {"source": {"oci": OCI["source"]["oci"]}}
    assert objects.job_inputs(settings_of(OCI)) != objects.job_inputs(settings_of(bare))


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


def test_a_claim_repeats_what_cannot_change() -> None:
    """Of an existing claim the class and the modes are kept, and its size unless it is too small."""
    wish = {"cache": {"storageClassName": "new", "accessMode": "ReadWriteMany", "size": "5Gi"}}
    settings = settings_of(HTTP, wish)
    fresh = objects.claim(settings, ARTIFACT, [], None, complete=False)
    assert fresh["spec"]["storageClassName"] == "new"
    assert "ownerReferences" not in fresh["metadata"]
    assert naming.MODEL_LABEL not in fresh["metadata"]["labels"]
    old = {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "old",
            "resources": {"requests": {"storage": "1Gi"}},
        }
    }
    kept = objects.claim(settings, ARTIFACT, [OWNER], old, complete=True)
    assert kept["spec"] == old["spec"]
    assert kept["metadata"]["annotations"][naming.COMPLETE_ANNOTATION] == "true"
    assert "controller" not in kept["metadata"]["ownerReferences"][0]


def test_an_empty_class_is_not_the_default_class() -> None:
    """StorageClassName "" means volumes that exist already."""
    found = objects.claim(
        settings_of(HTTP, {"cache": {"storageClassName": ""}}), ARTIFACT, [], None, complete=False
    )
    assert found["spec"]["storageClassName"] == ""


@pytest.mark.parametrize("name", ["gpu", "x" * 253])
def test_the_monitor_finds_all_services_of_its_runner(name: str) -> None:
    """By label, with the user's own labels for Prometheus."""
    settings = MonitoringSettings(service_monitor=True, interval="5s", labels={"release": "p"})
    found = objects.service_monitor("ml", Owner("ModelRunner", name, "u"), settings)
    assert len(found["metadata"]["name"]) <= 253
    assert found["metadata"]["labels"]["release"] == "p"
    assert found["spec"]["selector"]["matchLabels"][naming.RUNNER_LABEL] == name
    (endpoint,) = found["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", "/metrics", "5s")


def _draft(spec: dict[str, Any]) -> Draft:
    return Draft(settings=settings_of(spec), artifact=ARTIFACT)


SPECULATIVE: dict[str, Any] = HTTP | {
    "config": {"speculative": {"draftModel": "d", "numTokens": 4, "minAcceptanceRate": 0.5}}
}


def test_a_draft_is_mounted_beside() -> None:
    """Another Model's cache, read only, and the runner is told its place and its bounds."""
    found = objects.deployment(settings_of(SPECULATIVE), ARTIFACT, DEFAULTS, OWNER, _draft(OCI))
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
    in_place = objects.deployment(
        settings_of(SPECULATIVE), ARTIFACT, DEFAULTS, OWNER, _draft(CLAIM)
    )
    assert '"draft":{"weights":"/draft/a/m.gguf"' in env(in_place)["RUNNERD_CONFIG"]


def test_another_draft_means_other_pods() -> None:
    """Its weights and its place count; without a draft the hash is what it always was."""
    settings = settings_of(SPECULATIVE)
    other = replace(ARTIFACT, digest="sha256:bb")
    hashes = {
        objects.inputs(settings, ARTIFACT),
        objects.inputs(settings, ARTIFACT, _draft(OCI)),
        objects.inputs(settings, ARTIFACT, _draft(CLAIM)),
        objects.inputs(settings, ARTIFACT, replace(_draft(OCI), artifact=other)),
    }
    assert len(hashes) == 4
    assert objects.inputs(settings_of(), ARTIFACT) == objects.inputs(settings_of(), ARTIFACT, None)
    assert "draft" not in json.dumps(deployment())
