"""What an absent field means could have been written by a user."""

from modelrunner.api.v1alpha1 import (
    Activation,
    ApiModel,
    Cache,
    Model,
    ModelRunnerSpec,
    Monitoring,
    Scaling,
    defaults,
)
from modelrunner.api.v1alpha1.model import ModelConfig, Warmup


def test_every_default_is_a_valid_value() -> None:
    """Durations parse and words are among those that a field may hold."""
    spec = ModelRunnerSpec(
        engine=defaults.ENGINE,
        keep_alive=defaults.KEEP_ALIVE,
        scaling=Scaling(
            min_replicas=defaults.MIN_REPLICAS,
            max_replicas=defaults.MAX_REPLICAS,
            target_concurrency=defaults.TARGET_CONCURRENCY,
        ),
        activation=Activation(max_held=defaults.MAX_HELD, timeout=defaults.ACTIVATION_TIMEOUT),
        startup_timeout=defaults.STARTUP_TIMEOUT,
        drain_timeout=defaults.DRAIN_TIMEOUT,
        cache=Cache(
            size=defaults.CACHE_SIZE_AUTO,
            access_mode=defaults.CACHE_ACCESS_MODE,
            retention=defaults.CACHE_RETENTION,
        ),
        monitoring=Monitoring(
            service_monitor=defaults.SERVICE_MONITOR, interval=defaults.MONITORING_INTERVAL
        ),
    )
    assert ModelRunnerSpec.model_validate(spec.to_dict()) == spec
    body = {
        "runner": defaults.RUNNER,
        "source": {"persistentVolumeClaim": {"name": "a", "path": "b"}},
        "config": ModelConfig(mode=defaults.MODE).to_dict(),
        "warmup": Warmup(enabled=defaults.WARMUP_ENABLED, prompt=defaults.WARMUP_PROMPT).to_dict(),
    }
    assert Model.model_validate({"spec": body}).spec.to_dict() == body


def test_the_descriptions_name_the_defaults() -> None:
    """A changed default is changed in its field's description too."""
    fields: dict[tuple[str, object], type[ApiModel]] = {
        ("engine", defaults.ENGINE): ModelRunnerSpec,
        ("keep_alive", defaults.KEEP_ALIVE): ModelRunnerSpec,
        ("startup_timeout", defaults.STARTUP_TIMEOUT): ModelRunnerSpec,
        ("drain_timeout", defaults.DRAIN_TIMEOUT): ModelRunnerSpec,
        ("min_replicas", defaults.MIN_REPLICAS): Scaling,
        ("target_concurrency", defaults.TARGET_CONCURRENCY): Scaling,
        ("max_held", defaults.MAX_HELD): Activation,
        ("timeout", defaults.ACTIVATION_TIMEOUT): Activation,
        ("size", defaults.CACHE_SIZE_AUTO): Cache,
        ("access_mode", defaults.CACHE_ACCESS_MODE): Cache,
        ("retention", defaults.CACHE_RETENTION): Cache,
        ("interval", defaults.MONITORING_INTERVAL): Monitoring,
        ("mode", defaults.MODE): ModelConfig,
        ("prompt", defaults.WARMUP_PROMPT): Warmup,
    }
    for (name, value), model in fields.items():
        description = model.model_fields[name].description or ""
        assert f"Default: {value}." in " ".join(description.split()), name
