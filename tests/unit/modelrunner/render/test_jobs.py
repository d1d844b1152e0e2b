"""The desired Jobs."""

from typing import Any

import pytest

from modelrunner.render import jobs
from modelrunner_protocol.codec import decode
from modelrunner_protocol.wire import (
    Credentials,
    PullConfig,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, settings_of
from tests.unit.modelrunner.render.rendered import ARTIFACT, DEFAULTS, OWNER, deployment, env, pod


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
    found = jobs.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
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
    first = jobs.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
    second = jobs.pull_job(settings, DEFAULTS, [OWNER], 2, ARTIFACT)
    assert decode(PullConfig, env(first)["RUNNERD_PULL"]).expected == ARTIFACT
    assert decode(PullConfig, env(second)["RUNNERD_PULL"]).expected is None


def test_a_resolve_mounts_only_what_it_reads() -> None:
    """Nothing for a URL; the user's volume, read-only, for a file on it."""
    plain = jobs.resolve_job(settings_of(), DEFAULTS, [OWNER], 1)
    assert [one["name"] for one in pod(plain)["volumes"]] == ["tmp"]
    found = jobs.resolve_job(settings_of(CLAIM), DEFAULTS, [OWNER], 1)
    assert pod(found)["volumes"][0]["persistentVolumeClaim"] == {
        "claimName": "mine",
        "readOnly": True,
    }


@pytest.mark.parametrize("kind", ["resolve", "pull"])
def test_a_secret_is_mounted_into_jobs_alone(kind: str) -> None:
    """Only its config.json, read-only; a Secret that is missing does not keep the pod waiting."""
    settings = settings_of(OCI)
    if kind == "pull":
        found = jobs.pull_job(settings, DEFAULTS, [OWNER], 1, ARTIFACT)
    else:
        found = jobs.resolve_job(settings, DEFAULTS, [OWNER], 1)
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
    found = jobs.pull_job(settings_of({"source": hub}), DEFAULTS, [OWNER], 1, ARTIFACT)
    volume = next(one for one in pod(found)["volumes"] if one["name"] == "credentials")
    assert volume["secret"]["items"] == [{"key": "token", "path": "token"}]


@pytest.mark.parametrize(
    ("bucket", "names"),
    [
        (
            {"s3": {"bucket": "b-1"}},
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        ),
        ({"gcs": {"bucket": "b-1"}}, ("service-account.json",)),
        (
            {"azure": {"account": "acme", "container": "b-1"}},
            (
                *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
                *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"),
            ),
        ),
    ],
)
def test_keys_of_a_bucket_are_mounted_into_jobs(
    bucket: dict[str, Any], names: tuple[str, ...]
) -> None:
    """By the names that the stores' own tools have; more of the Secret is not."""
    wanted = settings_of({"source": bucket | {"credentialsSecret": "keys"}})
    found = jobs.pull_job(wanted, DEFAULTS, [OWNER], 1, ARTIFACT)
    volume = next(one for one in pod(found)["volumes"] if one["name"] == "credentials")
    assert volume["secret"]["items"] == [{"key": name, "path": name} for name in names]


def test_another_secret_is_another_job() -> None:
    """A Job that failed for its credentials is made again; Jobs without any stay what they were."""
    bare = {"source": {"oci": OCI["source"]["oci"]}}
    assert jobs.job_inputs(settings_of(OCI)) != jobs.job_inputs(settings_of(bare))
