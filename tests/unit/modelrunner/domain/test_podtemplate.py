"""What a podTemplate may not do."""

from typing import Any

import pytest

from modelrunner.domain.podtemplate import faults

RUNNER = {"name": "runner"}


def containers(*items: Any) -> dict[str, Any]:
    """A podTemplate with these containers."""
    return {"spec": {"containers": list(items)}}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"spec": "x"}, "has to be an object"),
        ({"spec": {"containers": {}}}, "containers has to be a list, not an object"),
        ({"spec": {"containers": ["x"]}}, "containers[0] has to be an object, not a string"),
        ({"spec": {"containers": [{"image": "x"}]}}, "containers[0] needs a name"),
        ({"spec": {"tolerations": "x"}}, "tolerations has to be a list"),
        ({"spec": {"affinity": []}}, "affinity has to be an object, not a list"),
        ({"spec": {"securityContext": True}}, "not true or false"),
        ({"spec": {"dnsConfig": 5}}, "not a number"),
        ({"spec": {"volumes": [{"name": "cache"}]}}, "the volume cache is the runner's own"),
        ({"spec": {"restartPolicy": "Never"}}, "restartPolicy"),
        ({"spec": {"initContainers": [RUNNER]}}, "belongs to the main container"),
        ({"metadata": {"labels": {"modelrunner.dev/model": "x"}}}, "the operator's own"),
        ({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "the operator's own"),
        (containers(RUNNER | {"env": [{"name": "RUNNERD_CONFIG"}]}), "belongs to the operator"),
        (containers(RUNNER | {"env": {"A": "b"}}), "containers[runner].env has to be a list"),
        (containers(RUNNER | {"volumeMounts": [{"mountPath": "/models/"}]}), "mount it elsewhere"),
        (containers(RUNNER | {"volumeMounts": [{"name": "x"}]}), "needs a mountPath"),
        (containers(RUNNER | {"ports": [{"containerPort": 8080}]}), "the port 8080"),
        (
            containers(RUNNER | {"ports": [{"containerPort": 1, "name": "http"}]}),
            "use another",
        ),
        (containers(RUNNER | {"resources": []}), "resources has to be an object"),
    ],
)
def test_faults(template: dict[str, Any], words: str) -> None:
    """Each is told with its path and what to do."""
    found = list(faults(template))
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith("spec.podTemplate")


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"metadata": {"labels": {"team": "x"}, "annotations": {"a/b": "c"}}},
        {"spec": {"affinity": None, "restartPolicy": "Always", "hostNetwork": True}},
        containers(
            RUNNER | {"env": [{"name": "A"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            {"name": "side", "image": "i", "ports": [{"containerPort": 8080}]},
        ),
    ],
)
def test_no_faults(template: dict[str, Any]) -> None:
    """What leaves the runner standing is the user's own business."""
    assert list(faults(template)) == []
