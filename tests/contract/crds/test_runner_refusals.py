"""What a platform team may not write is refused by the API server, in words that say what to change."""

from typing import Any

import pytest

from tests.contract.crds.conftest import runner
from tests.support.kubeapi import KubeApi, Refused

CPU_OVER = {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}
GPU = {"resource": "nvidia.com/gpu"}
POD_TEMPLATE = "a podTemplate holds metadata (labels, annotations) or spec (a PodSpec"

KEEP_ALIVE = 'use a duration such as "30s", "5m" or "1h30m", "0" to unload as soon as idle'
DURATION = 'use a duration such as "30s", "5m" or "1h30m"'
RANGE = "use a duration longer than 0 and at most 24h"
SCALING = "minReplicas is more than maxReplicas: lower the one or raise the other"


RUNNERS: list[tuple[str, Any, str]] = [
    ("an engine of later", {"engine": "vllm"}, '"auto", "llama.cpp"'),
    ("a space in an image", {"images": {"llamaCpp": "a b"}}, "without spaces"),
    ("podTemplate as text", {"podTemplate": "x"}, "must be of type object"),
    ("podTemplate as a list", {"podTemplate": []}, "must be of type object"),
    ("a pod spec as podTemplate", {"podTemplate": {"containers": [{"name": "a"}]}}, POD_TEMPLATE),
    ("an empty podTemplate", {"podTemplate": {}}, POD_TEMPLATE),
    (
        "a name in podTemplate",
        {"podTemplate": {"metadata": {"name": "x"}}},
        "metadata holds labels and annotations: set one of them or remove metadata",
    ),
    (
        "containers as text",
        {"podTemplate": {"spec": {"containers": "x"}}},
        "spec.podTemplate.spec.containers",
    ),
    (
        "a container without a name",
        {"podTemplate": {"spec": {"containers": [{"image": "x"}]}}},
        "spec.podTemplate.spec.containers[0].name: Required value",
    ),
    (
        "two containers of one name",
        {"podTemplate": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}},
        "Duplicate value",
    ),
    (
        "a label that is none",
        {"podTemplate": {"metadata": {"labels": {"a b": "c"}}}},
        "use label names",
    ),
    ("an accelerator without a name", {"accelerator": {"count": 1}}, "Required value"),
    ("no accelerators", {"accelerator": {**GPU, "count": 0}}, "greater than or equal to 1"),
    ("a device without a vendor", {"accelerator": {"resource": "gpu"}}, "extended resource"),
    ("cpu as accelerator", {"accelerator": {"resource": "cpu"}}, "extended resource"),
    (
        "Kubernetes' own domain",
        {"accelerator": {"resource": "example.kubernetes.io/gpu"}},
        "extended resource",
    ),
    (
        "an accelerator twice",
        {"accelerator": GPU, "resources": {"limits": {"nvidia.com/gpu": 1}}},
        "the accelerator's resource is also in resources",
    ),
    ("no quantity", {"resources": {"limits": {"memory": "much"}}}, "use quantities such as"),
    ("negative quantity", {"resources": {"requests": {"cpu": "-1"}}}, "not negative"),
    ("negative number", {"resources": {"requests": {"cpu": -1}}}, "not negative"),
    ("more than the limit", {"resources": CPU_OVER}, "the cpu or memory request is larger"),
    (
        "a long node label",
        {"scheduling": {"nodeSelector": {"a": "b" * 64}}},
        "use at most 63 letters",
    ),
    (
        "Exists with a value",
        {"scheduling": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        "a toleration with the operator Exists has no value",
    ),
    ("a toleration of nothing", {"scheduling": {"tolerations": [{}]}}, "needs the operator Exists"),
    (
        "seconds without NoExecute",
        {"scheduling": {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}},
        "tolerationSeconds needs the effect NoExecute",
    ),
    ("affinity as text", {"scheduling": {"affinity": "near"}}, "must be of type object"),
    (
        "half a spread constraint",
        {"scheduling": {"topologySpreadConstraints": [{"maxSkew": 1}]}},
        "topologyKey: Required value",
    ),
    (
        "two kinds of cache",
        {"cache": {"existingClaim": "models", "size": "1Gi"}},
        "existingClaim is used as it is: remove storageClassName, accessMode, size and retention",
    ),
    (
        "retention of a stranger's claim",
        {"cache": {"existingClaim": "a", "retention": "Delete"}},
        "existingClaim is used",
    ),
    (
        "a time for a stranger's claim",
        {"cache": {"existingClaim": "a", "ttl": "168h"}},
        "`runnerd prune` removes what a shared claim no longer needs",
    ),
    ("a time of seconds", {"cache": {"ttl": "59s"}}, "use a duration of at least 1m"),
    ("a time in words", {"cache": {"ttl": "a week"}}, 'use a duration such as "10m"'),
    ("a time in days", {"cache": {"ttl": "7d"}}, 'use a duration such as "10m"'),
    ("a time beyond all", {"cache": {"ttl": "9999999h"}}, "of less than 100000 hours"),
    ("a size of nothing", {"cache": {"size": "0"}}, 'use "auto" or a size larger than 0'),
    ("a negative size", {"cache": {"size": "-1Gi"}}, 'use "auto" or a size larger than 0'),
    ("a size in words", {"cache": {"size": "big"}}, 'use "auto" or a size larger than 0'),
    (
        "an access mode that one pod holds",
        {"cache": {"accessMode": "ReadWriteOncePod"}},
        '"ReadWriteOnce", "ReadWriteMany"',
    ),
    ("a retention that is none", {"cache": {"retention": "Forget"}}, '"Retain", "Delete"'),
    ("keepAlive abc", {"keepAlive": "abc"}, KEEP_ALIVE),
    (
        "a runner with more at least than at most",
        {"scaling": {"minReplicas": 3, "maxReplicas": 2}},
        SCALING,
    ),
    ("nobody may wait", {"activation": {"maxHeld": 0}}, "greater than or equal"),
    ("no time to wait", {"activation": {"timeout": "0s"}}, RANGE),
    ("no duration", {"startupTimeout": "soon"}, DURATION),
    ("no time to start", {"startupTimeout": "0s"}, RANGE),
    ("a negative timeout", {"drainTimeout": "-1m"}, DURATION),
    ("more than a day", {"drainTimeout": "24h1s"}, RANGE),
    ("more than Go can hold", {"drainTimeout": "99999999h99999999h"}, RANGE),
    (
        "an interval of nothing",
        {"monitoring": {"interval": "0s"}},
        "longer than 0 in whole numbers",
    ),
    ("half a second", {"monitoring": {"interval": "0.5s"}}, "longer than 0 in whole numbers"),
    ("a monitoring label", {"monitoring": {"labels": {"a": "b c"}}}, "use at most 63 letters"),
    ("a variable with a digit first", {"env": [{"name": "1A"}]}, "not beginning with a digit"),
    ("a variable without a name", {"env": [{"value": "x"}]}, "spec.env[0].name: Required value"),
    ("a variable of the runner", {"env": [{"name": "RUNNERD_CONFIG"}]}, "belongs to the operator"),
    ("a variable twice", {"env": [{"name": "A"}, {"name": "A"}]}, "Duplicate value"),
    (
        "value and valueFrom",
        {"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "c"}}}]},
        "set value or valueFrom, not both",
    ),
    (
        "value from nowhere",
        {"env": [{"name": "A", "valueFrom": {}}]},
        "set exactly one of secretKeyRef",
    ),
]


@pytest.mark.control_plane
@pytest.mark.parametrize(("spec", "words"), [c[1:] for c in RUNNERS], ids=[c[0] for c in RUNNERS])
def test_a_runner_is_refused(api: KubeApi, namespace: str, spec: Any, words: str) -> None:
    """422 and a sentence that names the field."""
    with pytest.raises(Refused) as refused:
        api.create(runner(namespace, spec), dryRun="All")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    assert words in refused.value.message


RUNNER_NAME = "the name of a ModelRunner is also a label of its pods: use at most 63 lower-case"


@pytest.mark.control_plane
@pytest.mark.parametrize("name", ["a" * 64, "a.b"])
def test_a_runners_name_is_refused(api: KubeApi, namespace: str, name: str) -> None:
    """A name that no label could hold is refused."""
    with pytest.raises(Refused) as refused:
        api.create(runner(namespace, {}, name=name), dryRun="All")
    assert refused.value.status == 422
    assert f'metadata.name: Invalid value: "{name}": {RUNNER_NAME}' in refused.value.message
