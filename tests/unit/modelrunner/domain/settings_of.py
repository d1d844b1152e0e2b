"""Effective settings for tests, made as the reconciler makes them."""

from typing import Any

from modelrunner.api.v1alpha1 import Model, ModelRunner
from modelrunner.domain.effective import Effective, settle

URL = "http://files.example/m.gguf"
HTTP: dict[str, Any] = {"source": {"http": {"url": URL}}}
CLAIM: dict[str, Any] = {"source": {"persistentVolumeClaim": {"name": "mine", "path": "a/m.gguf"}}}

OCI: dict[str, Any] = {"source": {"oci": {"reference": "AI/x"}, "credentialsSecret": "pull"}}


def settings_of(
    spec: dict[str, Any] | None = None, runner: dict[str, Any] | None = None
) -> Effective:
    """A Model named m on a ModelRunner named gpu in the namespace ml."""
    return settle(
        Model.model_validate(
            {"metadata": {"name": "m", "namespace": "ml", "uid": "u"}, "spec": spec or HTTP}
        ),
        ModelRunner.model_validate(
            {"metadata": {"name": "gpu", "namespace": "ml"}, "spec": runner or {}}
        ),
    )
