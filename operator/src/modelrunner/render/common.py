"""What every desired object has: an owner, labels, values that mean nothing to the kubelet."""

from dataclasses import dataclass
from typing import Any

from modelrunner.api.v1alpha1 import API_VERSION
from modelrunner.domain import naming
from modelrunner.domain.effective import Effective
from modelrunner_protocol.wire import (
    CACHE_MOUNT,
    PORT,
    PORT_NAME,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """An object that owns another: it goes when its owners have gone."""

    kind: str
    name: str
    uid: str

    def reference(self, *, controller: bool) -> dict[str, Any]:
        """The ownerReference. A controller blocks its owner's foreground deletion."""
        found: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
        }
        return found | {"controller": True, "blockOwnerDeletion": True} if controller else found


def inert(config: str) -> str:
    """JSON without dollar signs: the kubelet expands $(NAME) in the values of variables."""
    return config.replace("$", "\\u0024")


def model_labels(effective: Effective, component: str) -> dict[str, str]:
    """The labels of what is made for one Model."""
    return naming.base_labels(component) | {
        naming.MODEL_LABEL: effective.name,
        naming.RUNNER_LABEL: effective.runner,
    }


def constants() -> dict[str, Any]:
    """What is the same in all templates."""
    return {"port": PORT, "port_name": PORT_NAME, "cache_mount": CACHE_MOUNT}
