"""What the operator watches and lists."""

from collections.abc import Sequence
from typing import Final

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL
from modelrunner.kube.collection import Collection
from modelrunner.kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    JOBS,
    MODEL_RUNNERS,
    MODELS,
    PODS,
    SERVICES,
)

OURS: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
USERS: Final = (MODELS, MODEL_RUNNERS)
CHILDREN: Final = (DEPLOYMENTS, PODS, JOBS, CLAIMS, SERVICES)


def watched(namespaces: Sequence[str]) -> tuple[Collection, ...]:
    """The users' kinds whole, the children by label on the server's side.

    ServiceMonitors are not among them: their kind may come and go, and nothing depends on them.
    """
    users = (Collection(resource, namespaces) for resource in USERS)
    children = (Collection(resource, namespaces, OURS) for resource in CHILDREN)
    return (*users, *children)
