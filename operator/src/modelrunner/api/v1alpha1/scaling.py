"""How many runners a model gets, how requests wait for them, and how many requests it takes."""

from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from modelrunner.api.annotations import Rule, rules
from modelrunner.api.v1alpha1.common import ApiModel, Timeout

MOST_REPLICAS: Final = 1000
ORDERED = "minReplicas is more than maxReplicas: lower the one or raise the other"


class Scaling(ApiModel):
    """Between which bounds a model scales, and by what.

    The number of runners itself is not here: it is `replicas` of the Model's Deployment.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.minReplicas) || !has(self.maxReplicas)"
                " || self.minReplicas <= self.maxReplicas",
                ORDERED,
            )
        )
    )

    min_replicas: Annotated[int, Field(ge=0, le=MOST_REPLICAS)] | None = None
    """Runners that stay, however long the model is idle. 0 lets it sleep once `keepAlive` has
    passed, and the next request through the gateway wakes it. Default: 0.
    """

    max_replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] | None = None
    """Runners that there are at most. All of them mount the model's cache: with
    `cache.accessMode: ReadWriteOnce` those that do not fit on the node of the volume stay Pending.
    Not set: the operator adds none, and leaves those alone that somebody else has added
    (`kubectl scale`, an autoscaler of yours) until the model is idle. Default: 1, or minReplicas
    where that is more.
    """

    target_concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Requests at once that are right for one runner, those that wait at the gateway included.
    More add runners at once, up to maxReplicas; fewer for five minutes take one away at a time,
    each after it has finished what it had. Default: 8.
    """

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.min_replicas, self.max_replicas
        if low is not None and high is not None and low > high:
            raise ValueError(ORDERED)
        return self


class Activation(ApiModel):
    """How requests wait at the gateway while a model wakes."""

    max_held: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Requests for one model that may wait at each replica of the gateway; the next one is
    refused with 429. Default: 100.
    """

    timeout: Timeout | None = None
    """How long a request may wait; then it is refused with 503. At most 24h. Default: 5m."""


class Limits(ApiModel):
    """Requests that each replica of the gateway lets through to a model; more get 429."""

    concurrent_requests: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests at once, those that wait included. Default: no limit."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests in a minute. Default: no limit."""
