"""The settings of the gateway process, from its environment. Times are seconds, sizes bytes."""

from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from modelrunner.environment import LogLevel, Name, Names, ProcessSettings, Words
from modelrunner_protocol.origins import parse_origins

_MEBIBYTE: Final = 1 << 20
_SHARES: Final = {"off": -1.0, "errors": 0.0, "all": 1.0}


def _share(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return _SHARES[value.lower()] if value.lower() in _SHARES else float(value)
    except ValueError:
        raise ValueError("Input should be off, errors, all or a share such as 0.01") from None


class GatewaySettings(ProcessSettings):
    """Everything the gateway process can be told."""

    pod_namespace: Name = Field(alias="POD_NAMESPACE")
    """Where the gateway runs: the namespace of the API keys."""

    pod_name: Name = Field(alias="POD_NAME", default="model-runner-gateway")
    """This replica's name: runners are told how much waits at which replica."""

    watch_namespaces: Names = Field(alias="MODELRUNNER_WATCH_NAMESPACES", default=())
    """Namespaces to serve, comma-separated; empty: all, which needs cluster-wide RBAC."""

    log_level: LogLevel = Field(alias="MODELRUNNER_LOG_LEVEL", default="INFO")
    """DEBUG, INFO, WARNING or ERROR, of the process's own log on standard error."""

    host: str = Field(alias="MODELRUNNER_GATEWAY_HTTP_HOST", default="0.0.0.0")  # noqa: S104 - clients come from the cluster
    """Address that clients connect to; `::` for IPv6."""

    port: int = Field(alias="MODELRUNNER_GATEWAY_HTTP_PORT", default=12434, ge=0, le=65535)
    """Port that clients connect to; 0: any free one, which is logged."""

    admin_host: str = Field(alias="MODELRUNNER_GATEWAY_ADMIN_HOST", default="0.0.0.0")  # noqa: S104 - probes come from the node
    """Address of the admin port."""

    admin_port: int = Field(alias="MODELRUNNER_GATEWAY_ADMIN_PORT", default=8080, ge=0, le=65535)
    """Port of `/healthz`, `/readyz`, `/metrics` and `/version` for the cluster; no key is asked."""

    max_header_bytes: int = Field(
        alias="MODELRUNNER_GATEWAY_MAX_HEADER_BYTES", default=64 * 1024, ge=4096, le=_MEBIBYTE
    )
    """A larger request head gets 431."""

    max_body_bytes: int = Field(
        alias="MODELRUNNER_GATEWAY_MAX_BODY_BYTES", default=32 * _MEBIBYTE, ge=1024, le=1 << 30
    )
    """A larger request body gets 413. A runner has a limit of its own, RUNNERD_MAX_BODY."""

    max_buffered_bytes: int = Field(
        alias="MODELRUNNER_GATEWAY_MAX_BUFFERED_BYTES", default=256 * _MEBIBYTE, ge=_MEBIBYTE
    )
    """Request bodies of all connections together, held ones included; beyond it a request gets
    503. Size the memory limit of the pod after it."""

    max_connections: int = Field(
        alias="MODELRUNNER_GATEWAY_MAX_CONNECTIONS", default=16384, ge=1, le=1_000_000
    )
    """Client connections at once; one more gets 503 and is closed."""

    header_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_HEADER_TIMEOUT", default=10.0, gt=0, le=3600
    )
    """From the first byte of a request head to its last, else 408."""

    body_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_BODY_TIMEOUT", default=60.0, gt=0, le=3600
    )
    """Without one more byte of a request's body, else 408."""

    idle_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_IDLE_TIMEOUT", default=75.0, gt=0, le=86400
    )
    """A client connection without a request is closed after this. Longer than the idle timeout of
    a load balancer in front, so that never the gateway closes under its feet."""

    connect_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_CONNECT_TIMEOUT", default=2.0, gt=0, le=60
    )
    """A runner that takes no connection in this time is passed over."""

    first_byte_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_FIRST_BYTE_TIMEOUT", default=900.0, gt=0, le=86400
    )
    """From the request's last byte to the first of its answer, else 504. An answer that is not
    streamed begins when it is complete, so this bounds whole generations."""

    stall_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_STALL_TIMEOUT", default=120.0, gt=0, le=86400
    )
    """A client that takes nothing of its answer for so long is cut off."""

    upstream_idle_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_UPSTREAM_IDLE_TIMEOUT", default=30.0, gt=0, le=3600
    )
    """A spare connection to a runner is closed after this; shorter than RUNNERD_IDLE_TIMEOUT."""

    drain_delay: float = Field(alias="MODELRUNNER_GATEWAY_DRAIN_DELAY", default=5.0, ge=0, le=300)
    """After SIGTERM new connections are taken for so long: until no endpoint list has us."""

    drain_timeout: float = Field(
        alias="MODELRUNNER_GATEWAY_DRAIN_TIMEOUT", default=600.0, ge=0, le=86400
    )
    """Then what is in flight may take this long to end. The pod's grace period must be longer
    than both together."""

    max_held_bytes: int = Field(
        alias="MODELRUNNER_GATEWAY_MAX_HELD_BYTES", default=128 * _MEBIBYTE, ge=_MEBIBYTE
    )
    """Bodies of all waiting requests together; beyond it a request gets 503."""

    api_keys: bool = Field(alias="MODELRUNNER_GATEWAY_API_KEYS", default=False)
    """Ask clients for API keys, which are Secrets of POD_NAMESPACE."""

    access_log: Annotated[float, BeforeValidator(_share)] = Field(
        alias="MODELRUNNER_GATEWAY_ACCESS_LOG", default=0.0, ge=-1, le=1
    )
    """What the access log on standard output tells: `off`; `errors` (default: status 400 and
    above, and answers that broke off); `all`; or a share such as 0.01 of the good ones and all
    errors."""

    origins: Words = Field(alias="MODELRUNNER_GATEWAY_ORIGINS", default=())
    """Web pages that may call: origins, comma-separated, such as `https://chat.example.com`,
    `http://localhost:*` or `*`. Empty: nobody looks at the header `Origin`, and browsers keep
    pages of other origins out by themselves."""

    management: bool = Field(alias="MODELRUNNER_GATEWAY_MANAGEMENT", default=False)
    """Let clients pull, configure and delete models: as Model objects of one namespace."""

    management_namespace: Name | None = Field(
        alias="MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE", default=None
    )
    """Where these Models are; POD_NAMESPACE unless set."""

    management_runner: Name = Field(
        alias="MODELRUNNER_GATEWAY_MANAGEMENT_RUNNER", default="default"
    )
    """The ModelRunner that they name."""

    insecure_registries: Words = Field(
        alias="MODELRUNNER_GATEWAY_MANAGEMENT_INSECURE_REGISTRIES", default=()
    )
    """Registries, comma-separated, that they are pulled from over plain http."""

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        parse_origins(entries)
        return entries

    @property
    def home(self) -> str:
        """The namespace in which Models are managed."""
        return self.management_namespace or self.pod_namespace

    @model_validator(mode="after")
    def _sees_what_it_makes(self) -> Self:
        if self.management and self.watch_namespaces and self.home not in self.watch_namespaces:
            raise ValueError(
                f"MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE: {self.home} must be one of "
                "MODELRUNNER_WATCH_NAMESPACES, or nobody runs the models that are made there"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError(
                "MODELRUNNER_GATEWAY_MAX_BUFFERED_BYTES: must be at least "
                "MODELRUNNER_GATEWAY_MAX_BODY_BYTES, or the largest allowed body never fits"
            )
        return self
