"""Settings of `runnerd run`, all from the environment. Light to import.

What to serve stands in RUNNERD_CONFIG (a `RunConfig`); these are the limits of the process.
TERMINATION_LOG names the file for the reason of a failed start (`runnerd.server.run`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from modelrunner_protocol.codec import WireError, decode
from modelrunner_protocol.flags import FlagError, check_flags, mode_of
from modelrunner_protocol.wire import NO_IMAGES, RUN_CONFIG_VARIABLE, Mode, RunConfig

_MEBIBYTE: Final = 1 << 20


class ConfigError(Exception):
    """The environment asks for something that cannot be done; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and places. Each field tells its variable; times are seconds, sizes bytes."""

    llama_server: str = ""
    """LLAMA_SERVER_PATH: the llama-server program. Empty: /app/llama-server, else from PATH."""

    llama_args: str | None = None
    """LLAMA_ARGS: replaces the first arguments of llama-server, "-ngl 999 --metrics"."""

    gpu_layers: int = 999
    """RUNNERD_GPU_LAYERS: layers of a model to put into devices' memory, as far as there are any;
    LLAMA_ARGS goes before it."""

    log_level: str = "info"
    """LOG_LEVEL: debug, info, warning or error. Requests are logged at debug only."""

    socket_folder: str = "/tmp"  # noqa: S108  # the pod's own writable volume
    """RUNNERD_SOCKET_FOLDER: a writable folder for the engine's UNIX socket."""

    max_in_flight: int = 512
    """RUNNERD_MAX_IN_FLIGHT: requests being answered or waiting; one more gets 429."""

    max_body: int = 32 * _MEBIBYTE
    """RUNNERD_MAX_BODY: a larger request body gets 413."""

    max_held: int = 256 * _MEBIBYTE
    """RUNNERD_MAX_HELD: bodies of all requests together; beyond it a request gets 429."""

    max_stored: int = 64 * _MEBIBYTE
    """RUNNERD_MAX_STORED: responses that are kept for an hour; the oldest leave first. 0: none."""

    body_timeout: float = 60.0
    """RUNNERD_BODY_TIMEOUT: a body that takes longer to arrive gets 408."""

    idle_timeout: float = 75.0
    """RUNNERD_IDLE_TIMEOUT: a connection without a whole request head is closed after this."""

    stall_timeout: float = 120.0
    """RUNNERD_STALL_TIMEOUT: a client that takes nothing for so long is cut off."""

    retry_wait: float = 30.0
    """RUNNERD_RETRY_WAIT: how long a request waits for an engine that died under it."""

    hang_timeout: float = 60.0
    """RUNNERD_HANG_TIMEOUT: a ready engine that gives no sign of life for so long is killed and
    started again; 0: never. /health needs a free one of its HTTP threads (--threads-http)."""

    drain_linger: float = 2.0
    """RUNNERD_DRAIN_LINGER: at least so long a stopping runner answers "go elsewhere": until
    every gateway and every node's kube-proxy, which looks once a second, knows that it goes."""

    stop_grace: float = 5.0
    """RUNNERD_STOP_GRACE: between SIGTERM and SIGKILL for the engine."""


_VARIABLES: Final = {
    "llama_server": "LLAMA_SERVER_PATH",
    "llama_args": "LLAMA_ARGS",
    "log_level": "LOG_LEVEL",
}


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings; an unset or empty variable means the default.

    Raises:
        ConfigError: a number is not one, or not positive.
    """
    values: dict[str, Any] = {}
    for field in fields(Settings):
        variable = _VARIABLES.get(field.name, f"RUNNERD_{field.name.upper()}")
        if text := environment.get(variable, ""):
            values[field.name] = _read(variable, text, field.default)
    return Settings(**values)


def read_run_config(environment: Mapping[str, str] = os.environ) -> RunConfig:
    """What to serve.

    The flags were checked before they got here; they are checked again, since this is the
    process that they would harm.

    Raises:
        ConfigError: the variable is missing, is not a `RunConfig`, or asks for what we lack.
    """
    text = environment.get(RUN_CONFIG_VARIABLE)
    if not text:
        raise ConfigError(f"the environment variable {RUN_CONFIG_VARIABLE} is not set")
    try:
        config = decode(RunConfig, text)
    except WireError as error:
        raise ConfigError(f"{RUN_CONFIG_VARIABLE} cannot be read: {error}") from error
    if config.engine != "llama.cpp":
        raise ConfigError(f'there is no engine "{config.engine}": use "llama.cpp"')
    try:
        check_flags(config.engine, config.runtime_flags)
    except FlagError as error:
        raise ConfigError(str(error)) from error
    _check_values(config)
    # An operator of before the mode says it by the flag alone.
    return replace(config, mode=mode_of(config.runtime_flags) or config.mode)


def _check_values(config: RunConfig) -> None:
    if config.mode is Mode.IMAGE_GENERATION:
        raise ConfigError(f"mode: {NO_IMAGES}")
    if config.draft is not None and not config.draft.weights.startswith("/"):
        raise ConfigError(f"draft.weights: {config.draft.weights!r} is not an absolute path")
    if not config.weights.startswith("/"):
        raise ConfigError(f"weights: {config.weights!r} is not an absolute path")
    if not config.model or not config.namespace:
        raise ConfigError("model and namespace must not be empty")
    if not 0 <= config.port < 65536:
        raise ConfigError(f"port: {config.port} is not a TCP port")
    for name in ("startup_timeout", "drain_timeout"):
        if getattr(config, name) < 0:
            raise ConfigError(f"{name} must not be negative")


def _read(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, str) or default is None:
        return text
    try:
        value = type(default)(text)
    except ValueError as error:
        raise ConfigError(f"{variable}: {text!r} is not a number") from error
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{variable}: {text!r} must be a number that is not negative")
    return value
