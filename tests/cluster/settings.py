"""Folders and addresses of the embedded cluster."""

import os
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

NAME = "model-runner-operator"
NODE = "node1"
HOST_ADDRESS = "10.99.0.1"
NODE_ADDRESS = "10.99.0.2"
LINK_NETWORK = "10.99.0.0/30"
# Away from 10.88.0.0/16 and 172.16.0.0/12, which podman and Docker hand out.
POD_NETWORK = "10.98.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
API_PORT = 6443
# The host's end of the link to the node; at most 15 characters.
LINK = "model-runner0"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where builds are kept between runs: MODEL_RUNNER_CACHE, else the user's cache folder."""
    if chosen := environment.get("MODEL_RUNNER_CACHE"):
        return Path(chosen).absolute()
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME


def run_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a running cluster keeps its files: MODEL_RUNNER_RUN, else a folder in /tmp."""
    return Path(environment.get("MODEL_RUNNER_RUN") or f"/tmp/{NAME}").absolute()
