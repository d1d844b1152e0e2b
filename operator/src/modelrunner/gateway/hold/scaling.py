"""0→1: the only thing that the gateway writes."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Forbidden, Invalid, KubeError, NotFound, Unavailable
from modelrunner.kube.resources import DEPLOYMENTS

FIELD_MANAGER: Final = "model-runner-gateway"

# A Scale of 0 has no `replicas` at all: `test` on /spec/replicas would always fail.
_FROM_ZERO: Final = (
    {"op": "test", "path": "/spec", "value": {}},
    {"op": "add", "path": "/spec/replicas", "value": 1},
)


class Attempt(Enum):
    """How one try to scale 0→1 ended."""

    WOKEN = "woken"
    AWAKE = "awake"
    """Somebody was first: replicas is not 0."""

    MISSING = "missing"
    """There is no Deployment."""

    REFUSED = "refused"
    """RBAC or admission does not let us."""

    UNREACHABLE = "unreachable"
    """The API server did not answer, or could not."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try: what came of it, why in words, and the least seconds until the next."""

    attempt: Attempt
    message: str = ""
    retry_after: float = 0.0


class Scaler(Protocol):
    """Scales a model's Deployment 0→1, and nothing else."""

    async def wake(self, namespace: str, name: str) -> Tried:
        """One try. Never raises."""
        ...


class DeploymentScaler:
    """Scales through the `scale` subresource, guarded: it never undoes another's write."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def wake(self, namespace: str, name: str) -> Tried:
        """Patch the Deployment of this name, which is the Model's."""
        try:
            await self._client.json_patch(
                DEPLOYMENTS,
                namespace,
                name,
                _FROM_ZERO,
                subresource="scale",
                field_manager=FIELD_MANAGER,
            )
        except Invalid:
            return Tried(Attempt.AWAKE)
        except NotFound:
            return Tried(Attempt.MISSING, "it has no Deployment yet")
        except Forbidden as error:
            return Tried(Attempt.REFUSED, f"the API server refused it: {error.message}")
        except Unavailable as error:
            told = f"the API server did not do it: {error.message}"
            return Tried(Attempt.UNREACHABLE, told, error.retry_after or 0.0)
        except KubeError as error:
            return Tried(Attempt.UNREACHABLE, f"the API server did not do it: {error}")
        return Tried(Attempt.WOKEN)
