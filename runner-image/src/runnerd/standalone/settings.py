"""Settings of `runnerd serve`, all from the environment; see docs/reference/serve.md."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from modelrunner_protocol.durations import parse_duration, parse_keep_alive
from modelrunner_protocol.origins import LOCAL, Origins, parse_origins
from modelrunner_protocol.references import locate
from runnerd.config import ConfigError, Settings, read_settings

PORT: Final = 12434
"""Docker Model Runner's own."""

IN_IMAGE: Final = Path("/models")

_TRUE: Final = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE: Final = frozenset({"0", "f", "false", "n", "no", "off"})
_UNITS: Final = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}
_BYTES: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?)b?", re.IGNORECASE)
# A model by its ID, whole or its first digits.
_IDENTITY: Final = re.compile(r"(?:sha256:)?(?:[0-9a-f]{12}|[0-9a-f]{64})")
_LEVELS: Final = frozenset({"debug", "info", "warning", "error"})
# Every Service named "model-runner" makes the kubelet set MODEL_RUNNER_PORT=tcp://10.0.0.1:80.
_SERVICE_LINK: Final = re.compile(r"(?:tcp|udp|sctp)://")

_NONE: Final = Origins()

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What a stand-alone server is told. Times are seconds, sizes bytes.

    Attributes:
        engine: Limits and places that it shares with `runnerd run`.
        host: RUNNERD_HOST: the address to listen on, "" for all.
        port: MODEL_RUNNER_PORT; 0: any.
        models_path: MODELS_PATH.
        metrics: Not DISABLE_METRICS.
        origins: DMR_ORIGINS and this machine's own pages.
        default_registry: DEFAULT_REGISTRY, "" for the Docker Hub.
        insecure_registry: INSECURE_REGISTRY: registries are spoken to over plain http.
        record: RUNNERD_RECORD_REQUESTS: the newest requests of each model can be looked at.
        models: MODELS, as they were written.
        default_model: DEFAULT_MODEL, "" for none.
        memory: RUNNERD_MEMORY, None: from the machine.
        slots: RUNNERD_SLOTS: engines at once; None: from the machine.
        keep_alive: RUNNERD_KEEP_ALIVE: how long an idle engine stays; negative: for ever.
        max_waiting: RUNNERD_MAX_WAITING: requests that wait for a place for their engine.
        wait_timeout: RUNNERD_WAIT_TIMEOUT: how long one waits for that.
        startup_timeout: RUNNERD_STARTUP_TIMEOUT: how long an engine may take to be ready.
        drain_timeout: RUNNERD_DRAIN_TIMEOUT: how long requests may last after SIGTERM.
    """

    engine: Settings
    host: str = ""
    port: int = PORT
    models_path: Path = IN_IMAGE
    metrics: bool = True
    origins: Origins = _NONE
    default_registry: str = ""
    insecure_registry: bool = False
    record: bool = True
    models: tuple[str, ...] = ()
    default_model: str = ""
    memory: int | None = None
    slots: int | None = None
    keep_alive: float = 300.0
    max_waiting: int = 256
    wait_timeout: float = 600.0
    startup_timeout: float = 1800.0
    drain_timeout: float = 120.0


def read_serve_settings(environment: Mapping[str, str] = os.environ) -> ServeSettings:
    """The settings; an unset or empty variable means the default.

    Raises:
        ConfigError: a value cannot be used; the message names the variable.
    """
    given = _Given(environment)
    usual = ServeSettings(engine=read_settings(environment))
    engine = replace(usual.engine, log_level=given.read("LOG_LEVEL", _level, "info"))
    if not given.read("GPU_ENABLED", _truth, default=True):
        engine = replace(engine, gpu_layers=0)
    slots = given.read("RUNNERD_SLOTS", _positive, 0)
    return ServeSettings(
        engine=engine,
        host=given.read("RUNNERD_HOST", str, ""),
        port=given.read("MODEL_RUNNER_PORT", _port, usual.port),
        models_path=given.read("MODELS_PATH", _folder, None) or default_folder(environment),
        metrics=not given.read("DISABLE_METRICS", _truth, default=False),
        origins=given.read("DMR_ORIGINS", _origins, parse_origins(LOCAL)),
        default_registry=given.read("DEFAULT_REGISTRY", _registry, ""),
        insecure_registry=given.read("INSECURE_REGISTRY", _truth, default=False),
        record=given.read("RUNNERD_RECORD_REQUESTS", _truth, default=True),
        models=given.read("MODELS", _references, ()),
        default_model=given.read("DEFAULT_MODEL", _reference, ""),
        memory=given.read("RUNNERD_MEMORY", parse_bytes, None),
        slots=slots or None,
        keep_alive=given.read("RUNNERD_KEEP_ALIVE", parse_keep_alive, usual.keep_alive),
        max_waiting=given.read("RUNNERD_MAX_WAITING", _whole, usual.max_waiting),
        wait_timeout=given.read("RUNNERD_WAIT_TIMEOUT", _seconds, usual.wait_timeout),
        startup_timeout=given.read("RUNNERD_STARTUP_TIMEOUT", _seconds, usual.startup_timeout),
        drain_timeout=given.read("RUNNERD_DRAIN_TIMEOUT", _seconds, usual.drain_timeout),
    )


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where models lie unless MODELS_PATH says it.

    /models if that can be written, as in the image, else a folder of the user's own.
    """
    if os.access(IN_IMAGE, os.W_OK | os.X_OK):
        return IN_IMAGE
    data = environment.get("XDG_DATA_HOME") or ""
    base = Path(data) if data.startswith("/") else Path.home() / ".local/share"
    return base / "model-runner/models"


def parse_bytes(text: str) -> int:
    """A number of bytes: `8Gi`, `8G`, `512MiB`, `1.5 GB`, `1000000`.

    Raises:
        ValueError: it is none.
    """
    found = _BYTES.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS or len(text) > 32:
        raise ValueError("write a number of bytes, for example 8Gi or 512M")
    count = int(float(found[1]) * _UNITS[found[2].lower()])
    if count <= 0:
        raise ValueError("it must be more than 0")
    return count


class _Given:
    """The environment's values, without the quotation marks that some files put around them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def read(self, name: str, convert: Callable[[str], _T], default: _T) -> _T:
        text = self._environment.get(name, "").strip().strip("\"'").strip()
        if not text or (name.endswith("_PORT") and _SERVICE_LINK.match(text)):
            return default
        try:
            return convert(text)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from error


def _truth(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text[:40]!r} is neither true nor false: use 1 or 0")
    return word in _TRUE


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:6]) > 65535:
        raise ValueError(f"{text[:40]!r} is not a TCP port: use a number from 0 to 65535")
    return int(text)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    if not (found := _whole(text)):
        raise ValueError("it must be at least 1")
    return found


def _seconds(text: str) -> float:
    found = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", text) else parse_duration(text)
    if found < 0:
        raise ValueError(f"{text!r} is negative")
    return found


def _folder(text: str) -> Path | None:
    return Path(text).expanduser().absolute()


def _level(text: str) -> str:
    word = {"warn": "warning"}.get(text.lower(), text.lower())
    if word not in _LEVELS:
        raise ValueError(f"{text[:40]!r}: use debug, info, warning or error")
    return word


def _origins(text: str) -> Origins:
    return parse_origins((*text.split(","), *LOCAL))


def _registry(text: str) -> str:
    host = re.sub(r"^https?://", "", text).rstrip("/").lower()
    if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?", host):
        raise ValueError(f"{text[:80]!r} is not a registry: write its host, with a port if needed")
    return host


def _reference(text: str) -> str:
    if _IDENTITY.fullmatch(text):
        return text
    try:
        locate(text)
    except ValueError as error:
        why = f"{error}: write a name that GET /v1/models lists, for example ai/smollm2"
        raise ValueError(f"{text[:80]!r} is not the name of a model: {why}") from error
    return text


def _references(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        locate(part)
    return tuple(dict.fromkeys(parts))
