"""The settings of the operator process, from its environment."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

_Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
]
_Image = Annotated[str, StringConstraints(pattern=r"^[^\s]+$", max_length=512)]


class ConfigError(Exception):
    """A setting is missing or wrong; the message is one line that names the variable."""


class OperatorSettings(BaseModel):
    """Everything the operator process can be told. Each field names its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pod_namespace: _Name = Field(alias="POD_NAMESPACE")
    """Where the operator runs: the namespace of its Lease."""

    pod_name: _Name = Field(alias="POD_NAME", default="model-runner-operator")
    """Part of the Lease's holder identity and the reporting instance of events."""

    runner_image: _Image = Field(
        alias="MODELRUNNER_RUNNER_IMAGE", default="ghcr.io/model-runner-operator/runner:0.1.0"
    )
    """Image of runner and pull pods, unless a ModelRunner names its own."""

    runner_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        alias="MODELRUNNER_RUNNER_IMAGE_PULL_POLICY", default="IfNotPresent"
    )

    watch_namespaces: tuple[_Name, ...] = Field(alias="MODELRUNNER_WATCH_NAMESPACES", default=())
    """Namespaces to serve, comma-separated; empty: all, which needs cluster-wide RBAC."""

    lease_name: _Name = Field(alias="MODELRUNNER_LEASE_NAME", default="model-runner-operator")

    lease_seconds: float = Field(alias="MODELRUNNER_LEASE_SECONDS", default=15.0, ge=1, le=600)
    """A candidate takes over when the lease has not changed for this long."""

    lease_renew_seconds: float = Field(
        alias="MODELRUNNER_LEASE_RENEW_SECONDS", default=10.0, gt=0, le=600
    )
    """The leader gives up when it could not renew for this long; less than the above."""

    lease_retry_seconds: float = Field(
        alias="MODELRUNNER_LEASE_RETRY_SECONDS", default=2.0, gt=0, le=600
    )
    """How often the lease is renewed, or tried for."""

    http_host: str = Field(alias="MODELRUNNER_HTTP_HOST", default="0.0.0.0")  # noqa: S104 - probes come from the node
    http_port: int = Field(alias="MODELRUNNER_HTTP_PORT", default=8080, ge=0, le=65535)
    """Port of /healthz, /readyz and /metrics; 0: any free one, which is logged."""

    workers: int = Field(alias="MODELRUNNER_WORKERS", default=16, ge=1, le=256)
    """How many reconciles run at once."""

    resync_seconds: float = Field(alias="MODELRUNNER_RESYNC_SECONDS", default=300.0, ge=1, le=86400)
    """How often everything is listed and reconciled, whatever the watches say."""

    discovery_seconds: float = Field(
        alias="MODELRUNNER_DISCOVERY_SECONDS", default=60.0, ge=1, le=86400
    )
    """How often the operator looks whether the cluster has learned the kind ServiceMonitor."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        alias="MODELRUNNER_LOG_LEVEL", default="INFO"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lease_seconds > self.lease_renew_seconds > self.lease_retry_seconds:
            raise ValueError(
                "MODELRUNNER_LEASE_SECONDS, MODELRUNNER_LEASE_RENEW_SECONDS, "
                "MODELRUNNER_LEASE_RETRY_SECONDS: each must be greater than the next"
            )
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. An empty variable counts as not set.

        Raises:
            ConfigError: a variable is unknown to us (MODELRUNNER_*), missing or has a bad value.
        """
        known = {field.alias for field in cls.model_fields.values()}
        unknown = [
            name
            for name in environment
            if name.startswith(_PREFIX) and name not in known and not _SERVICE_LINK.search(name)
        ]
        if unknown:
            raise ConfigError(f"{min(unknown)}: no such setting")
        given: dict[str, Any] = {
            name: value.strip()
            for name, value in environment.items()
            if name in known and value.strip()
        }
        namespaces = given.get("MODELRUNNER_WATCH_NAMESPACES")
        if namespaces is not None:
            given["MODELRUNNER_WATCH_NAMESPACES"] = [
                name.strip() for name in namespaces.split(",") if name.strip()
            ]
        if "MODELRUNNER_LOG_LEVEL" in given:
            given["MODELRUNNER_LOG_LEVEL"] = given["MODELRUNNER_LOG_LEVEL"].upper()
        try:
            return cls(**given)
        except ValidationError as error:
            raise ConfigError(_first(error)) from error


_PREFIX: Final = "MODELRUNNER_"
# What the kubelet sets for a Service whose name begins like our variables.
_SERVICE_LINK: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$")


def _first(error: ValidationError) -> str:
    """The first complaint as one line: variable, what is wrong, what was given."""
    found = error.errors(include_url=False)[0]
    where = str(found["loc"][0]) if found["loc"] else ""
    what = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "missing":
        return f"{where}: must be set"
    return f"{where}: {what} (got {found['input']!r})" if where else what
