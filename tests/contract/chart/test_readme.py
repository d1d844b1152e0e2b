"""What the chart's README shows is true."""

import base64
import re

import yaml

from modelrunner.domain import naming
from modelrunner.gateway.auth.key import _READERS, LABEL
from modelrunner.gateway.auth.keyring import KeyRing
from release.copies import CHART
from tests.contract.chart.conftest import pod_template, render
from tests.support.kubeapi import Object


def example_of(kind: str) -> Object:
    """The YAML of that kind in the chart's README."""
    text = (CHART / "README.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (found,) = (block for block in blocks if block["kind"] == kind)
    result: Object = found
    return result


def test_the_readmes_api_key_is_one() -> None:
    """Whoever copies it gets a key with all those bounds."""
    example = example_of("Secret")
    data = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in example["stringData"].items()
    }
    ring = KeyRing(clock=lambda: 0.0)
    ring.put({"metadata": example["metadata"], "data": data})
    found = ring.find(b"test")
    assert found is not None
    assert found.models.text == example["stringData"]["models"]
    assert (found.concurrent, found.per_minute) == (8, 600)
    assert data.keys() == _READERS.keys()
    assert example["metadata"]["labels"] == {LABEL: "true"}


def test_the_readmes_network_policy_lets_our_pods_in_and_is_about_models() -> None:
    """Its selectors take the operator's and the gateway's pods, runners and pull pods."""
    spec = example_of("NetworkPolicy")["spec"]
    ours, _ = spec["ingress"][0]["from"]
    objects = render()
    for part in ("operator", "gateway"):
        labels = pod_template(objects, part)["metadata"]["labels"]
        assert ours["podSelector"]["matchLabels"].items() <= labels.items()
        assert not spec["podSelector"]["matchLabels"].items() <= labels.items()
    for component in (naming.COMPONENT_RUNNER, naming.COMPONENT_PULL):
        labels = naming.base_labels(component)
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_readmes_command_is_in_the_image() -> None:
    """A pod's shell path does not hold it, so it is written whole."""
    dockerfile = (CHART.parents[1] / "operator" / "Dockerfile").read_text("utf-8")
    (program,) = re.findall(r'^ENTRYPOINT \["([^"]+)"\]$', dockerfile, re.MULTILINE)
    for file in ("README.md", "templates/NOTES.txt"):
        assert f"{program} api-key --name " in (CHART / file).read_text("utf-8")
