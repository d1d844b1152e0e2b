"""What the tests of desired objects have in common."""

from typing import Any

from modelrunner.domain.drafts import Draft
from modelrunner.domain.effective import OperatorDefaults
from modelrunner.render import serving
from modelrunner.render.common import Owner
from modelrunner_protocol.wire import (
    Artifact,
    WeightsFile,
)
from tests.unit.modelrunner.domain.settings_of import settings_of

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
    return serving.deployment(settings_of(spec, runner), artifact, defaults, OWNER)


def pod(found: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec in a Deployment or Job."""
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def env(found: dict[str, Any]) -> dict[str, str]:
    """The variables of the first container."""
    return {item["name"]: item.get("value", "") for item in pod(found)["containers"][0]["env"]}


def draft_of(spec: dict[str, Any]) -> Draft:
    """A draft model whose weights are there."""
    return Draft(settings=settings_of(spec), artifact=ARTIFACT)
