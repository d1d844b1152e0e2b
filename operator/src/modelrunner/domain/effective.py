"""One settings value out of a Model, its ModelRunner and the operator's own defaults."""

from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.v1alpha1 import (
    AccessMode,
    Activation,
    Cache,
    Engine,
    Limits,
    Model,
    ModelRunner,
    Retention,
    Scaling,
)
from modelrunner.api.v1alpha1 import defaults as absent
from modelrunner.domain.sources import wire_source
from modelrunner_protocol.durations import parse_duration, parse_keep_alive
from modelrunner_protocol.flags import mode_of, split_flags
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import Mode, Source, Warmup

# Not its aliases: the gateway knows new ones at once, and a restart would cost everybody.
_MODEL_FIELDS: Final = ("source", "config", "warmup")
_RUNNER_FIELDS: Final = (
    "engine",
    "images",
    "accelerator",
    "resources",
    "scheduling",
    "startupTimeout",
    "drainTimeout",
    "env",
    "podTemplate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDefaults:
    """What the operator was installed with. `image_pull_policy` "" leaves it to Kubernetes."""

    runner_image: str
    image_pull_policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Where weights are kept. `size` None: as large as the artifact needs.

    `existing_claim` None: a claim of its own for each artifact.
    """

    storage_class_name: str | None
    access_mode: AccessMode
    size: str | None
    existing_claim: str | None
    retention: Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """How Prometheus finds the runners."""

    service_monitor: bool
    interval: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """Bounds of the number of runners, and how many requests at once are right for one.

    `elastic`: somebody has set maxReplicas, so the operator scales by demand. Else the number is
    only raised to `min_replicas`, and set to 0 after the keep-alive.
    """

    min_replicas: int
    max_replicas: int
    target_concurrency: int
    elastic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What the gateway is told in the status. `timeout` is seconds; None: no limit."""

    max_held: int
    timeout: float
    concurrent_requests: int | None
    requests_per_minute: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculativeSettings:
    """The Model that writes ahead, and how far; None leaves a number to the engine."""

    draft_model: str
    num_tokens: int | None
    min_acceptance_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Everything that decides how one Model runs. Times are seconds.

    `image` "" stands for the operator's default, which is not the user's wish: a new default
    must not restart runners. `source_key` names the source, `key` the version of it that is wanted
    (see versions); `refresh` is how often to look for another one, None: only when asked to. `scheduling` holds fields of a PodSpec, `resources` those of a
    container, `pod_template` the user's overlay; all three as JSON. `written` is what users
    wrote of all that reaches a pod: unlike the values here, it does not change with the defaults
    of a newer operator.
    """

    name: str
    namespace: str
    runner: str
    engine: Engine
    image: str
    source: Source
    credentials_secret: str | None
    source_key: str
    key: str
    refresh: float | None
    aliases: tuple[str, ...]
    mode: Mode
    context_size: int | None
    runtime_flags: tuple[str, ...]
    reasoning_budget: int | None
    speculative: SpeculativeSettings | None
    warmup: Warmup
    keep_alive: float
    scaling: ScalingSettings
    gateway: GatewaySettings
    startup_timeout: float
    drain_timeout: float
    accelerator: tuple[str, int] | None
    resources: dict[str, Any]
    scheduling: dict[str, Any]
    cache: CacheSettings
    env: tuple[dict[str, Any], ...]
    pod_template: dict[str, Any]
    written: dict[str, Any]

    @property
    def in_place(self) -> bool:
        """Whether the weights are used where they lie: nothing is pulled."""
        return self.source.claim is not None


def runner_name(model: Model) -> str:
    """The ModelRunner that a Model uses."""
    return model.spec.runner or absent.RUNNER


def settle(model: Model, runner: ModelRunner) -> Effective:
    """The settings of a Model on its ModelRunner, defaults filled in.

    Raises:
        FlagError: rawRuntimeFlags cannot be split.
        ValueError: a duration that the API server let through is none.
    """
    spec, config, on = model.spec, model.spec.config, runner.spec
    source = wire_source(spec.source)
    llamacpp = config.llamacpp if config else None
    flags = _flags(model)
    return Effective(
        name=model.metadata.name,
        namespace=model.metadata.namespace,
        runner=runner.metadata.name,
        engine=on.engine or absent.ENGINE,
        image=(on.images.llama_cpp if on.images else None) or "",
        source=source,
        credentials_secret=spec.source.credentials_secret,
        source_key=artifact_key(source),
        key=artifact_key(source),
        refresh=parse_duration(spec.source.refresh) if spec.source.refresh else None,
        aliases=tuple(sorted(spec.aliases or ())),
        mode=(config.mode if config else None) or mode_of(flags) or absent.MODE,
        context_size=config.context_size if config else None,
        runtime_flags=flags,
        reasoning_budget=llamacpp.reasoning_budget if llamacpp else None,
        speculative=_speculative(model),
        warmup=_warmup(model),
        keep_alive=parse_keep_alive(spec.keep_alive or on.keep_alive or absent.KEEP_ALIVE),
        scaling=_scaling(model, runner),
        gateway=_gateway(model, runner),
        startup_timeout=parse_duration(on.startup_timeout or absent.STARTUP_TIMEOUT),
        drain_timeout=parse_duration(on.drain_timeout or absent.DRAIN_TIMEOUT),
        accelerator=_accelerator(runner),
        resources=on.resources.to_dict() if on.resources else {},
        scheduling=on.scheduling.to_dict() if on.scheduling else {},
        cache=_cache(on.cache),
        env=tuple(variable.to_dict() for variable in on.env or ()),
        pod_template=on.pod_template.to_dict() if on.pod_template else {},
        written=_written(model, runner),
    )


def monitoring(runner: ModelRunner) -> MonitoringSettings:
    """The monitoring settings of a ModelRunner, defaults filled in."""
    found = runner.spec.monitoring
    wanted = found.service_monitor if found else None
    return MonitoringSettings(
        service_monitor=absent.SERVICE_MONITOR if wanted is None else wanted,
        interval=(found.interval if found else None) or absent.MONITORING_INTERVAL,
        labels=dict((found.labels if found else None) or {}),
    )


def _written(model: Model, runner: ModelRunner) -> dict[str, Any]:
    spec, on = model.spec.to_dict(), runner.spec.to_dict()
    cache = on.get("cache") or {}
    # Credentials and how often to look change without the weights: no reason to restart a runner.
    for field in ("credentialsSecret", "refresh"):
        spec["source"].pop(field, None)
    return {
        "runner": runner.metadata.name,
        "model": {key: spec[key] for key in _MODEL_FIELDS if key in spec},
        "settings": {key: on[key] for key in _RUNNER_FIELDS if key in on},
        "existingClaim": cache.get("existingClaim"),
    }


def _flags(model: Model) -> tuple[str, ...]:
    config = model.spec.config
    if config is None:
        return ()
    if config.raw_runtime_flags is not None:
        return split_flags(config.raw_runtime_flags)
    return tuple(config.runtime_flags or ())


def _speculative(model: Model) -> SpeculativeSettings | None:
    found = model.spec.config.speculative if model.spec.config else None
    if found is None:
        return None
    return SpeculativeSettings(
        draft_model=found.draft_model,
        num_tokens=found.num_tokens,
        min_acceptance_rate=found.min_acceptance_rate,
    )


def _warmup(model: Model) -> Warmup:
    found = model.spec.warmup
    enabled = found.enabled if found else None
    return Warmup(
        enabled=absent.WARMUP_ENABLED if enabled is None else enabled,
        prompt=(found.prompt if found else None) or absent.WARMUP_PROMPT,
    )


def _accelerator(runner: ModelRunner) -> tuple[str, int] | None:
    found = runner.spec.accelerator
    return (found.resource, found.count or absent.ACCELERATOR_COUNT) if found else None


def _scaling(model: Model, runner: ModelRunner) -> ScalingSettings:
    mine, theirs = model.spec.scaling or Scaling(), runner.spec.scaling or Scaling()
    low = _first(mine.min_replicas, theirs.min_replicas)
    high = _first(mine.max_replicas, theirs.max_replicas)
    target = _first(mine.target_concurrency, theirs.target_concurrency)
    least = absent.MIN_REPLICAS if low is None else low
    return ScalingSettings(
        min_replicas=least,
        max_replicas=max(least, absent.MAX_REPLICAS) if high is None else high,
        target_concurrency=target or absent.TARGET_CONCURRENCY,
        elastic=high is not None,
    )


def _gateway(model: Model, runner: ModelRunner) -> GatewaySettings:
    activation = runner.spec.activation or Activation()
    mine, theirs = model.spec.limits or Limits(), runner.spec.limits or Limits()
    return GatewaySettings(
        max_held=activation.max_held or absent.MAX_HELD,
        timeout=parse_duration(activation.timeout or absent.ACTIVATION_TIMEOUT),
        concurrent_requests=_first(mine.concurrent_requests, theirs.concurrent_requests),
        requests_per_minute=_first(mine.requests_per_minute, theirs.requests_per_minute),
    )


def _first(mine: int | None, theirs: int | None) -> int | None:
    return theirs if mine is None else mine


def _cache(cache: Cache | None) -> CacheSettings:
    found = cache or Cache()
    explicit = found.size if found.size not in {None, absent.CACHE_SIZE_AUTO} else None
    return CacheSettings(
        storage_class_name=found.storage_class_name,
        access_mode=found.access_mode or absent.CACHE_ACCESS_MODE,
        size=explicit,
        existing_claim=found.existing_claim,
        retention=found.retention or absent.CACHE_RETENTION,
    )
