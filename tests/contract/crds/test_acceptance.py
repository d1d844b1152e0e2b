"""What a user may write is accepted, kept as written, and shown as the on-call needs it."""

import re
from typing import Any

import pytest

from modelrunner.api.v1alpha1 import Model, ModelRunner
from tests.cluster.waiting import wait_until
from tests.contract.crds.conftest import documents, model, runner
from tests.support.kubeapi import KubeApi, Object

API_VERSION = "modelrunner.dev/v1alpha1"
HTTP = {"http": {"url": "https://models.example.com/a.gguf"}}
SAMPLES = documents("samples")


@pytest.mark.control_plane
@pytest.mark.parametrize(
    "sample", SAMPLES, ids=lambda body: f"{body['kind']}-{body['metadata']['name']}"
)
def test_a_sample_is_valid(api: KubeApi, namespace: str, sample: Object) -> None:
    """Each file of `samples/` passes the strictest check, and our models read it whole."""
    body = {**sample, "metadata": {**sample["metadata"], "namespace": namespace}}
    stored = api.create(body, dryRun="All", fieldValidation="Strict")
    assert stored["spec"] == sample["spec"]
    kind = Model if sample["kind"] == "Model" else ModelRunner
    assert kind.model_validate(stored).spec.to_dict() == sample["spec"]


KEEP_ALIVES = ("0", "-1", "-1m", "1h30m", "0.5s", "10µs")
MODELS: dict[str, Any] = {
    "digest and query": {
        "source": {"http": {"url": "http://10.0.0.1:8000/a?b=c", "sha256": "0" * 64}}
    },
    "IPv6 and an at sign": {"source": {"http": {"url": "HTTPS://[fd00::1]/a@b.gguf"}}},
    "a reference": {"source": {"oci": {"reference": "ai/smollm2:135M-Q4_0"}}},
    "a reference with all its parts": {
        "source": {
            "oci": {
                "reference": f"Registry.example.com:5000/a-b/c__d.e:v1.0@sha256:{'0' * 64}",
                "insecure": True,
            },
            "credentialsSecret": "pull.secret",
        }
    },
    "a repository": {
        "source": {
            "huggingFace": {
                "repository": "Acme_1/tiny.model-GGUF",
                "revision": "refs/pr/1",
                "quantization": "UD-Q4_K_XL",
                "files": ["Q4/*.gguf"],
                "ignoredFiles": ["mmproj-*"],
            },
            "credentialsSecret": "hub",
        }
    },
    "a bucket": {
        "source": {
            "s3": {
                "bucket": "my.models-1",
                "prefix": "team/Smol LM2/m-Q4_K_M.gguf",
                "endpoint": "http://minio.storage.svc:9000",
                "region": "auto",
                "insecure": True,
                "quantization": "Q4_K_M",
                "files": ["Q4/*.gguf"],
                "ignoredFiles": ["mmproj-*"],
            },
            "credentialsSecret": "bucket",
        }
    },
    "a whole bucket": {"source": {"s3": {"bucket": "abc"}}},
    "a bucket of Google's": {
        "source": {
            "gcs": {
                "bucket": "my_models.example.com",
                "prefix": "team/m.gguf",
                "endpoint": "http://gcs.storage.svc:4443",
                "insecure": True,
                "quantization": "Q4_K_M",
                "files": ["Q4/*.gguf"],
                "ignoredFiles": ["mmproj-*"],
            },
            "credentialsSecret": "bucket",
        }
    },
    "a container": {
        "source": {
            "azure": {
                "account": "acme",
                "container": "my-models",
                "prefix": "team/m.gguf",
                "endpoint": "http://azurite.storage.svc:10000/acme",
                "insecure": True,
                "quantization": "Q4_K_M",
                "files": ["Q4/*.gguf"],
                "ignoredFiles": ["mmproj-*"],
            },
            "credentialsSecret": "bucket",
        }
    },
    "the root container": {"source": {"azure": {"account": "acme", "container": "$root"}}},
    "a short reference": {"source": {"oci": {"reference": "x", "insecure": False}}},
    "dots in a path": {
        "source": {"persistentVolumeClaim": {"name": "a.b", "path": "..a/b...c/.d"}}
    },
    "long runner": {"source": HTTP, "runner": "a" * 63},
    "aliases": {
        "source": HTTP,
        "aliases": ["a", "ai/b:135M-Q4_0", "hf.co/a/b@sha256:0", "A" * 255],
    },
    "minus one": {
        "source": HTTP,
        "config": {"contextSize": -1, "llamacpp": {"reasoningBudget": -1}},
    },
    "flags are the operator's": {"source": HTTP, "config": {"runtimeFlags": ["--model", "/x"]}},
    "raw flags": {"source": HTTP, "config": {"rawRuntimeFlags": "x" * 16384, "mode": "embedding"}},
    "ranking": {"source": HTTP, "config": {"mode": "reranking"}},
    "pictures are the operator's": {"source": HTTP, "config": {"mode": "image-generation"}},
    "a draft": {"source": HTTP, "config": {"speculative": {"draftModel": "d"}}},
    "a whole draft": {
        "source": HTTP,
        "config": {
            "mode": "completion",
            "speculative": {"draftModel": "d-1", "numTokens": 1024, "minAcceptanceRate": 0.75},
        },
    },
    "a rate of whole numbers": {
        "source": HTTP,
        "config": {"speculative": {"draftModel": "d", "numTokens": 1, "minAcceptanceRate": 1}},
    },
    "scaling": {
        "source": HTTP,
        "scaling": {"minReplicas": 1, "maxReplicas": 3, "targetConcurrency": 4},
        "limits": {"concurrentRequests": 8, "requestsPerMinute": 600},
    },
    "one bound of scaling": {"source": HTTP, "scaling": {"minReplicas": 5}},
    "as many at least as at most": {
        "source": HTTP,
        "scaling": {"minReplicas": 2, "maxReplicas": 2},
    },
    **{f"keepAlive {text}": {"source": HTTP, "keepAlive": text} for text in KEEP_ALIVES},
}
RUNNERS: dict[str, Any] = {
    "nothing": {},
    "scaling": {
        "scaling": {"minReplicas": 0, "maxReplicas": 1000},
        "activation": {"maxHeld": 1, "timeout": "24h"},
        "limits": {"requestsPerMinute": 1},
    },
    "no image": {"engine": "llama.cpp", "images": {"llamaCpp": ""}},
    "longest and short": {"startupTimeout": "24h", "drainTimeout": "500ms"},
    "mixed units": {"startupTimeout": "1h30m0.5s"},
    "a stranger's claim": {"cache": {"existingClaim": "models"}},
    "a minute of keeping": {"cache": {"ttl": "1m", "retention": "Retain"}},
    "a year of keeping": {"cache": {"ttl": "8760h", "size": "auto"}},
    "no class": {"cache": {"storageClassName": "", "size": "1.5Ti", "accessMode": "ReadWriteMany"}},
    "one device": {"accelerator": {"resource": "amd.com/gpu"}},
    "parts of a device": {"accelerator": {"resource": "nvidia.com/mig-1g.5gb", "count": 8}},
    "quantities": {
        "resources": {"requests": {"cpu": 1, "memory": "1e3"}, "limits": {"cpu": "1000m"}}
    },
    "affinity": {"scheduling": {"affinity": {"nodeAffinity": {"anything": [{"a": 1}]}}}},
    "tolerations": {
        "scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute"}]}
    },
    "spread": {
        "scheduling": {
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ]
        }
    },
    "variables": {"env": [{"name": "A", "value": "{{ model.name }}"}, {"name": "a.b-C_d"}]},
    "labels": {"podTemplate": {"metadata": {"labels": {"example.com/a": "{{ model.name }}"}}}},
    "free form": {
        "podTemplate": {"spec": {"containers": [{"name": "runner", "x": {"y": [1]}}], "z": None}}
    },
    "monitoring": {
        "monitoring": {"interval": "1m30s", "serviceMonitor": False, "labels": {"a": ""}}
    },
}


@pytest.mark.control_plane
@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_model_is_accepted_as_written(api: KubeApi, namespace: str, spec: Any) -> None:
    """Nothing is added and nothing pruned; what only the operator can judge passes."""
    stored = api.create(model(namespace, spec), dryRun="All", fieldValidation="Strict")
    assert stored["spec"] == spec
    assert Model.model_validate(stored).spec.to_dict() == spec


@pytest.mark.control_plane
@pytest.mark.parametrize("spec", RUNNERS.values(), ids=RUNNERS)
def test_a_runner_is_accepted_as_written(api: KubeApi, namespace: str, spec: Any) -> None:
    """Nothing is added and nothing pruned, free-form parts included."""
    stored = api.create(runner(namespace, spec), dryRun="All", fieldValidation="Strict")
    assert stored["spec"] == spec
    assert ModelRunner.model_validate(stored).spec.to_dict() == spec


@pytest.mark.control_plane
def test_a_name_of_63_characters(api: KubeApi, namespace: str) -> None:
    """The longest name that a Service and a label can have is accepted."""
    api.create(model(namespace, {"source": HTTP}, name="a" * 63), dryRun="All")
    api.create(runner(namespace, {}, name="1" * 63), dryRun="All")


@pytest.mark.control_plane
def test_applying_twice_is_no_change(api: KubeApi, namespace: str) -> None:
    """Server-side apply of the same object writes nothing: GitOps sees no drift."""
    for sample in SAMPLES:
        body = {**sample, "metadata": {**sample["metadata"], "namespace": namespace}}
        first = api.apply(body)
        second = api.apply(body)
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
        assert second["spec"] == sample["spec"]


@pytest.mark.control_plane
def test_lists_merge_by_item(api: KubeApi, namespace: str) -> None:
    """Two owners each keep their own alias and their own variable."""
    for manager, alias in (("git", "a"), ("gateway", "b")):
        api.apply(model(namespace, {"source": HTTP, "aliases": [alias]}, "merged"), manager=manager)
        env = [{"name": alias.upper(), "value": manager}]
        api.apply(runner(namespace, {"env": env}, "merged"), manager=manager)
    found = api.get(API_VERSION, "Model", "merged", namespace)
    assert found is not None
    assert sorted(found["spec"]["aliases"]) == ["a", "b"]
    found = api.get(API_VERSION, "ModelRunner", "merged", namespace)
    assert found is not None
    assert [variable["name"] for variable in found["spec"]["env"]] == ["A", "B"]


CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "Pulling",
    "message": "the weights are being pulled",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


@pytest.mark.control_plane
def test_a_models_row(api: KubeApi, namespace: str) -> None:
    """`kubectl get models`: where, ready, run by what, how large, how far, how many, how idle."""
    body = model(namespace, {"source": HTTP, "runner": "gpu"}, "row")
    api.create(body)
    status = {
        "phase": "Pulling",
        "engine": "llama.cpp",
        "endpoint": "http://row.ml.svc:80",
        "readyReplicas": 1,
        "lastUsedTime": "2020-01-01T00:00:00Z",
        "idleDeadline": "2020-01-01T00:05:00Z",
        "activation": {"maxHeld": 100, "timeoutSeconds": 300.0},
        "limits": {"concurrentRequests": 8},
        "artifact": {"size": "92.1 MiB", "digest": "sha256:ab", "memory": "262.4 MiB"},
        "download": {
            "progress": "43% 12.1 MiB/s ETA 1m20s",
            "resumedBytes": 1024,
            "stalledSince": "2020-01-01T00:00:00Z",
        },
        "conditions": [CONDITION],
    }
    api.merge({**body, "status": status}, subresource="status")
    narrow, wide = _row(api, "Model", namespace, "row")
    assert re.fullmatch(r"\d+s", narrow.pop("Age"))
    assert re.fullmatch(r"\d+y(\d+d)?", narrow.pop("Last-Used"))
    assert narrow == {
        "Name": "row",
        "Phase": "Pulling",
        "Ready": "False",
        "Engine": "llama.cpp",
        "Size": "92.1 MiB",
        "Progress": "43% 12.1 MiB/s ETA 1m20s",
        "Replicas": 1,
    }
    assert wide == {
        "Runner": "gpu",
        "Endpoint": "http://row.ml.svc:80",
        "Memory": "262.4 MiB",
        "Digest": "sha256:ab",
        "Reason": "Pulling",
        "Message": "the weights are being pulled",
    }


@pytest.mark.control_plane
def test_a_runners_row(api: KubeApi, namespace: str) -> None:
    """`kubectl get modelrunners` answers: what does it serve with, for how many models."""
    spec = {"engine": "auto", "accelerator": {"resource": "nvidia.com/gpu"}}
    body = runner(namespace, spec, "row")
    api.create(body)
    unused = {"claim": "c", "since": "2026-11-22T00:00:00Z"}
    status = {
        "models": 3,
        "readyModels": 2,
        "cache": {"claims": 4, "size": "41.3 GiB", "unusedClaims": 1, "unused": [unused]},
        "conditions": [{**CONDITION, "status": "True"}],
    }
    api.merge({**body, "status": status}, subresource="status")
    narrow, wide = _row(api, "ModelRunner", namespace, "row")
    assert re.fullmatch(r"\d+s", narrow.pop("Age"))
    assert narrow == {
        "Name": "row",
        "Engine": "auto",
        "Accelerator": "nvidia.com/gpu",
        "Models": 3,
        "Ready models": 2,
        "Ready": "True",
    }
    assert wide == {
        "Cache": "41.3 GiB",
        "Unused": 1,
        "Reason": "Pulling",
        "Message": "the weights are being pulled",
    }


@pytest.mark.control_plane
def test_spec_and_status_have_their_own_ways(api: KubeApi, namespace: str) -> None:
    """A status written beside the spec is dropped, and writing status is no new generation."""
    body = model(namespace, {"source": HTTP}, "ways")
    created = api.create({**body, "status": {"phase": "Ready"}})
    assert "status" not in created
    changed = api.merge({**body, "status": {"phase": "Pulling"}}, subresource="status")
    assert changed["status"] == {"phase": "Pulling"}
    assert changed["metadata"]["generation"] == 1


@pytest.mark.control_plane
@pytest.mark.parametrize(
    ("kind", "field"), [("Model", "keepAlive"), ("ModelRunner", "podTemplate")]
)
def test_explain_has_our_words(api: KubeApi, kind: str, field: str) -> None:
    """`kubectl explain` reads the published OpenAPI document, which holds our descriptions."""

    def published() -> Object:
        document = api.request("GET", f"/openapi/v3/apis/{API_VERSION}")
        schemas: Object = document["components"]["schemas"]
        found = [schema for name, schema in schemas.items() if name.endswith(f".{kind}")]
        return found[0] if found else {}

    # The API server publishes a new kind a moment after it serves it.
    wait_until(f"{kind} in the OpenAPI document", lambda: bool(published()))
    spec = published()["properties"]["spec"]
    assert spec["properties"][field]["description"].endswith(".")


@pytest.mark.control_plane
def test_short_names_and_category(api: KubeApi) -> None:
    """`kubectl get mdl`, `kubectl get mr` and `kubectl get model-runner` work."""
    found = api.request("GET", f"/apis/{API_VERSION}")["resources"]
    names = {entry["name"]: (entry.get("shortNames"), entry.get("categories")) for entry in found}
    assert names["models"] == (["mdl"], ["model-runner"])
    assert names["modelrunners"] == (["mr"], ["model-runner"])
    assert "models/scale" not in names


def _row(api: KubeApi, kind: str, namespace: str, name: str) -> tuple[Object, Object]:
    """The cells of an object by column: what is always shown, and what `-o wide` adds."""
    table = api.table(API_VERSION, kind, namespace)
    cells = next(row["cells"] for row in table["rows"] if row["object"]["metadata"]["name"] == name)
    columns = list(zip(table["columnDefinitions"], cells, strict=True))
    narrow = {column["name"]: cell for column, cell in columns if column["priority"] == 0}
    return narrow, {column["name"]: cell for column, cell in columns if column["priority"]}
