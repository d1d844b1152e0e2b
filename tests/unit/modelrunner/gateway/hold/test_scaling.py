"""What the API server's refusals of a wake mean. The patch itself meets a real one elsewhere."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from modelrunner.gateway.hold.scaling import Attempt, DeploymentScaler
from modelrunner.kube.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
)

if TYPE_CHECKING:
    from modelrunner.kube.client import KubeClient


class Refusing:
    """An API server that refuses everything."""

    def __init__(self, error: KubeError | None) -> None:
        self.error = error

    async def json_patch(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Part of KubeClient."""
        if self.error is not None:
            raise self.error
        return {}


@pytest.mark.parametrize(
    ("error", "attempt", "told"),
    [
        (None, Attempt.WOKEN, ""),
        (Invalid(422, "Invalid", "test failed"), Attempt.AWAKE, ""),
        (NotFound(404, "NotFound", "no such"), Attempt.MISSING, "it has no Deployment yet"),
        (Forbidden(403, "Forbidden", "no RBAC"), Attempt.REFUSED, "refused it: no RBAC"),
        (Unavailable(0, "Unreachable", "no route"), Attempt.UNREACHABLE, "no route"),
        (Conflict(409, "Conflict", "race"), Attempt.UNREACHABLE, "race"),
        (KubeError(401, "Unauthorized", "token"), Attempt.UNREACHABLE, "token"),
    ],
)
def test_each_error_is_an_end_of_a_try(
    error: KubeError | None, attempt: Attempt, told: str
) -> None:
    """None is raised, and what a client should hear is in the message."""
    scaler = DeploymentScaler(cast("KubeClient", Refusing(error)))
    tried = asyncio.run(scaler.wake("ml", "smol"))
    assert tried.attempt is attempt
    assert tried.message.endswith(told)
    assert bool(tried.message) == bool(told)


def test_the_servers_own_pause_is_kept() -> None:
    """Retry-After of a 429 or 503."""
    error = Unavailable(429, "TooManyRequests", "slow down", 7.0)
    scaler = DeploymentScaler(cast("KubeClient", Refusing(error)))
    assert asyncio.run(scaler.wake("ml", "smol")).retry_after == 7.0
