"""The settings of the operator process, from its environment."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from modelrunner.environment import ConfigError, LogLevel, Name, Names, ProcessSettings

__all__ = ["ConfigError", "OperatorSettings"]

_Image = Annotated[str, StringConstraints(pattern=r"^[^\s]+$", max_length=512)]


class OperatorSettings(ProcessSettings):
    """Everything the operator process can be told. Each field names its variable."""

    pod_namespace: Name = Field(alias="POD_NAMESPACE")
    """Where the operator runs: the namespace of its Lease."""

    pod_name: Name = Field(alias="POD_NAME", default="model-runner-operator")
    """Part of the Lease's holder identity and the reporting instance of events."""

    runner_image: _Image = Field(
        alias="MODELRUNNER_RUNNER_IMAGE", default="ghcr.io/model-runner-operator/runner:0.1.0"
    )
    """Image of runner and pull pods, unless a ModelRunner names its own."""

    runner_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        alias="MODELRUNNER_RUNNER_IMAGE_PULL_POLICY", default="IfNotPresent"
    )

    watch_namespaces: Names = Field(alias="MODELRUNNER_WATCH_NAMESPACES", default=())
    """Namespaces to serve, comma-separated; empty: all, which needs cluster-wide RBAC."""

    lease_name: Name = Field(alias="MODELRUNNER_LEASE_NAME", default="model-runner-operator")

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

    log_level: LogLevel = Field(alias="MODELRUNNER_LOG_LEVEL", default="INFO")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lease_seconds > self.lease_renew_seconds > self.lease_retry_seconds:
            raise ValueError(
                "MODELRUNNER_LEASE_SECONDS, MODELRUNNER_LEASE_RENEW_SECONDS, "
                "MODELRUNNER_LEASE_RETRY_SECONDS: each must be greater than the next"
            )
        return self
