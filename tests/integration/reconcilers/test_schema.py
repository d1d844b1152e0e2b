"""Everything that is rendered passes the API server's strict validation and Pod Security."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrunner.api.v1alpha1 import Model, ModelRunner
from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import Effective, OperatorDefaults, settle
from modelrunner.render import claims, jobs, serving
from modelrunner.render.common import Owner
from modelrunner_protocol.codec import decode
from modelrunner_protocol.wire import RunConfig
from tests.integration.reconcilers.bench import DEFAULTS, Bench
from tests.support.kubeapi import KubeApi
from tests.support.pod_statuses import ARTIFACT
from tests.unit.modelrunner.domain.settings_of import settings_of

pytestmark = pytest.mark.control_plane

OWNER = Owner("Model", "m", "0b0a7f0e-0000-4000-8000-000000000000")
RICH_RUNNER: dict[str, Any] = {
    "engine": "llama.cpp",
    "images": {"llamaCpp": "registry.example/runner:1"},
    "accelerator": {"resource": "nvidia.com/gpu", "count": 2},
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": 2147483648}},
    "scheduling": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}
                ]
            },
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
                    ]
                }
            },
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ],
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "schedulerName": "other",
    },
    "cache": {"storageClassName": "fast", "accessMode": "ReadWriteMany", "size": "20Gi"},
    "startupTimeout": "1h",
    "drainTimeout": "1m30s",
    "env": [
        {"name": "WHO", "value": "{{ model.name }}"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {
            "name": "MEMORY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
    ],
    "podTemplate": {
        "metadata": {
            "labels": {"team": "{{ model.name }}"},
            "annotations": {"note": "on {{ runner.name | upper }}"},
        },
        "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [{"name": "more", "emptyDir": {}}],
            "containers": [
                {
                    "name": "runner",
                    "volumeMounts": [{"name": "more", "mountPath": "/more"}],
                    "env": [{"name": "WHO", "value": "me"}],
                },
                {"name": "side", "image": "side:1", "ports": [{"containerPort": 9000}]},
            ],
        },
    },
}
CLAIM = {"source": {"persistentVolumeClaim": {"name": "mine", "path": "a/b.gguf"}}}
HTTP = {"source": {"http": {"url": "https://h.example/m.gguf?x=1&y=$(HOME)", "sha256": "b" * 64}}}

OCI = {
    "source": {
        "oci": {"reference": "r.example.com:5000/a/b:v1", "insecure": True},
        "credentialsSecret": "login",
    }
}


def effective(namespace: str, spec: dict[str, Any], runner: dict[str, Any]) -> Effective:
    """Settings as the reconciler makes them."""
    meta = {"namespace": namespace, "uid": OWNER.uid}
    return settle(
        Model.model_validate({"metadata": {"name": "m", **meta}, "spec": spec}),
        ModelRunner.model_validate({"metadata": {"name": "gpu", **meta}, "spec": runner}),
    )


def everything(settings: Effective, defaults: OperatorDefaults) -> list[dict[str, Any]]:
    """All objects of one Model, with volumes of all kinds."""
    draft = Draft(settings=settings_of({"source": OCI["source"]}), artifact=ARTIFACT)
    offers = [{"spec": {"accessModes": [mode]}} for mode in ("ReadOnlyMany", "ReadWriteOnce")]
    return [
        *(serving.deployment(settings, ARTIFACT, defaults, OWNER, draft, one) for one in offers),
        *(jobs.resolve_job(settings, defaults, [OWNER], 1, one) for one in offers),
        jobs.pull_job(settings, defaults, [OWNER], 1, ARTIFACT, None, "theirs"),
        serving.deployment(settings, ARTIFACT, defaults, OWNER),
        serving.service(settings, OWNER),
        claims.claim(settings, ARTIFACT, [OWNER], None, complete=True),
        jobs.resolve_job(settings, defaults, [OWNER], 1),
        jobs.refresh_job(settings, defaults, OWNER, "now"),
        jobs.pull_job(settings, defaults, [OWNER], 2, ARTIFACT),
    ]


def accepted(api: KubeApi, body: dict[str, Any]) -> dict[str, Any]:
    """What the server would store."""
    return api.create(body, dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("spec", [CLAIM, HTTP, OCI])
@pytest.mark.parametrize("runner", [{}, {"cache": {"existingClaim": "shared"}}, RICH_RUNNER])
def test_the_server_takes_every_object(
    bench: Bench, spec: dict[str, Any], runner: dict[str, Any]
) -> None:
    """No field is misspelt or out of place, with few settings and with all."""
    for body in everything(effective(bench.namespace, spec, runner), DEFAULTS):
        accepted(bench.api, body)


def test_pods_are_restricted(bench: Bench) -> None:
    """The pods of Deployments and Jobs pass the restricted Pod Security Standard."""
    bench.api.merge(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": bench.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
    )
    runner = copy.deepcopy(RICH_RUNNER)
    # The side container is the user's own business.
    runner["podTemplate"]["spec"]["containers"].pop()
    # Their classes are made by a cluster's administrator.
    for field in ("priorityClassName", "runtimeClassName"):
        del runner["scheduling"][field]
    for body in everything(effective(bench.namespace, OCI, runner), DEFAULTS):
        if "template" in body["spec"]:
            template = body["spec"]["template"]
            pod = {"apiVersion": "v1", "kind": "Pod", **template}
            pod["metadata"] |= {"name": "p", "namespace": bench.namespace}
            accepted(bench.api, pod)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    prompt=st.text(min_size=1, max_size=200),
    value=st.text(max_size=200).filter(lambda text: "{" not in text and "\0" not in text),
)
def test_hostile_text_stays_text(bench: Bench, prompt: str, value: str) -> None:
    """Whatever users write is stored as they wrote it, and the object is still valid."""
    settings = effective(
        bench.namespace,
        HTTP | {"warmup": {"prompt": prompt}},
        {"env": [{"name": "X", "value": value}]},
    )
    body = serving.deployment(settings, ARTIFACT, DEFAULTS, OWNER)
    stored = accepted(bench.api, body)
    env = stored["spec"]["template"]["spec"]["containers"][0]["env"]
    config = decode(RunConfig, env[0]["value"])
    assert config.warmup.prompt == prompt
    assert "$" not in env[0]["value"]
    assert env[1].get("value", "") == value
