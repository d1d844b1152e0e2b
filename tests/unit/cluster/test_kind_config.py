"""The configuration of the kind cluster."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import build as builds
from tests.cluster.providers.kind import CONFIG
from tests.cluster.settings import NAME

# The fields of kind.x-k8s.io/v1alpha4 that this file may use, by where they stand.
FIELDS = {
    "": {"kind", "apiVersion", "name", "nodes", "networking", "featureGates", "runtimeConfig"},
    "nodes": {"role", "image", "labels", "extraMounts", "extraPortMappings"},
    "extraPortMappings": {"containerPort", "hostPort", "listenAddress", "protocol"},
}


def unknown_fields(value: Any, place: str = "") -> set[str]:
    """Fields that kind would refuse, in the parts of its schema above."""
    if isinstance(value, list):
        return {name for one in value for name in unknown_fields(one, place)}
    if not isinstance(value, dict) or place not in FIELDS:
        return set()
    unknown = set(value) - FIELDS[place]
    return unknown.union(*(unknown_fields(part, name) for name, part in value.items()))


def decoding_complaint(kind: Path, config: Path) -> str:
    """What kind says against a file; it decodes it strictly before it asks for Docker.

    No container program is in PATH and Docker's address leads nowhere, so nothing is created.
    """
    done = subprocess.run(
        [str(kind), "create", "cluster", f"--config={config}", "--kubeconfig=/nonexistent"],
        env={"PATH": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode != 0
    return done.stderr if "unable to decode config" in done.stderr else ""


def available_kind() -> Path | None:
    """The kind of this machine: ours when it was built, else one in PATH."""
    build = builds.newest()
    if build and os.access(build.programs / "kind", os.X_OK):
        return build.programs / "kind"
    found = shutil.which("kind")
    return Path(found) if found else None


def test_every_field_is_known_to_kind(tmp_path: Path) -> None:
    """A misspelt field fails here, by the schema above and, where there is one, by kind itself."""
    config = yaml.safe_load(CONFIG.read_text())
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CONFIG.read_text().replace("hostPort", "hostPrt"))
    assert unknown_fields(config) == set()
    assert unknown_fields(yaml.safe_load(wrong.read_text())) == {"hostPrt"}
    if kind := available_kind():
        assert decoding_complaint(kind, CONFIG) == ""
        assert "hostPrt" in decoding_complaint(kind, wrong)


def test_the_cluster_is_one_node_with_the_expected_name() -> None:
    """The provider finds the cluster by this name, and images are loaded into one node."""
    config = yaml.safe_load(CONFIG.read_text())
    assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    assert config["name"] == NAME
    assert [node["role"] for node in config["nodes"]] == ["control-plane"]


def test_the_mapped_port_is_a_node_port() -> None:
    """Docker Model Runner's port leads to a port that a Service may ask for, on loopback only."""
    (mapping,) = yaml.safe_load(CONFIG.read_text())["nodes"][0]["extraPortMappings"]
    assert mapping["hostPort"] == 12434
    assert 30000 <= mapping["containerPort"] <= 32767
    assert mapping["listenAddress"] == "127.0.0.1"
