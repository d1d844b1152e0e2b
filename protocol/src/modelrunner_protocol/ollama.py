"""What Ollama's lists tell of models: the shapes that a runner and the gateway share.

Source: ollama/ollama docs/api.md, api/types.go (`ListModelResponse`, `ProcessModelResponse`,
`ShowResponse`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from modelrunner_protocol.dmr import size_text
from modelrunner_protocol.wire import Mode

VERSION: Final = "0.12.11"
"""The Ollama whose API is spoken here. Clients ask for it: VS Code wants 0.6.4 or newer."""

WELCOME: Final = "Docker Model Runner is running\nOllama is running\n"
"""What GET / says: clients of both look for their own sentence."""

FOREVER: Final = "2318-01-01T00:00:00Z"
"""`expires_at` of a model that stays loaded; Ollama's own is 292 years away, too. Its command
line takes every date that is more than 20 years away for "Forever", and a zero one for the past.
"""

MANAGEMENT: Final[Mapping[str, str]] = {
    "/api/create": "POST",
    "/api/pull": "POST",
    "/api/push": "POST",
    "/api/copy": "POST",
    "/api/delete": "DELETE",
}
"""Routes by which Ollama's clients manage models, with their methods."""

SUCCESS: Final[Mapping[str, Any]] = {"status": "success"}
"""The last line of a pull or a push, and its only one without a stream."""

_TAG: Final = ":latest"
_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A model, as far as it is known; unknown text is "".

    Attributes:
        identity: Tells it from others where `digest` is not known.
        name: What lists call it, see `tagged`.
        size: Bytes of its weights.
        memory: Bytes that an engine needs for it, by an estimate; None where nobody knows.
        modified: When it became what it is, seconds since the Unix epoch.
        context: Tokens that a conversation may have here, None when nobody knows.
        capabilities: What it can do, e.g. "completion", "tools", "thinking", "embedding".
    """

    identity: str
    name: str
    digest: str = ""
    format: str = ""
    architecture: str = ""
    parameters: str = ""
    quantization: str = ""
    size: int = 0
    modified: float = 0.0
    context: int | None = None
    memory: int | None = None
    capabilities: tuple[str, ...] = ()
    template: str = ""


def capabilities_of(mode: str, more: Iterable[str]) -> tuple[str, ...]:
    """What a model in a mode can do; `more` is what one for completion can do besides.

    Ollama knows no models that rank: for one the mode's own word stands there, so that no client
    takes it for one to chat with.
    """
    return ("completion", *more) if mode == Mode.COMPLETION else (mode,)


def tagged(name: str) -> str:
    """A name with its tag, as every name in Ollama's lists has one."""
    return name if ":" in name.rpartition("/")[2] else name + _TAG


def unknown_model(name: str) -> str:
    """Ollama's sentence about a model that does not exist; clients look for "not found"."""
    return f"model '{name[:200]}' not found"


def listed(model: Described) -> dict[str, Any]:
    """An entry of /api/tags."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": moment(model.modified),
        "size": model.size,
        "digest": _digest(model),
        "details": _details(model),
    }


def running(model: Described, *, expires_at: str) -> dict[str, Any]:
    """An entry of /api/ps. How much lies in a device's memory is not known here, so none is told."""
    told = {
        "name": model.name,
        "model": model.name,
        "size": model.size,
        "digest": _digest(model),
        "details": _details(model),
        "expires_at": expires_at,
        "size_vram": 0,
    }
    return told if model.context is None else told | {"context_length": model.context}


def shown(model: Described) -> dict[str, Any]:
    """The answer of /api/show.

    `<architecture>.context_length` is what a conversation may have here, not what the model was
    trained for: clients plan with it. `general.memory_bytes`, as what `details` tell of context
    and memory, is ours: Ollama estimates when it loads.
    """
    information: dict[str, Any] = {
        "general.architecture": model.architecture,
        "general.basename": model.name.rpartition("/")[2].partition(":")[0],
    }
    parameters = ""
    if model.context is not None:
        information[f"{model.architecture or 'general'}.context_length"] = model.context
        parameters = f"num_ctx                        {model.context}"
    if model.memory:
        information["general.memory_bytes"] = model.memory
    return {
        "modelfile": "",
        "parameters": parameters,
        "template": model.template,
        "details": _details(model),
        "model_info": information,
        "capabilities": list(model.capabilities),
        "modified_at": moment(model.modified),
    }


def pulling(layer: str, *, total: int, completed: int) -> dict[str, Any]:
    """A line of POST /api/pull: how far a layer, "sha256:…", is."""
    return _moving("pulling", layer, total, completed)


def pushing(layer: str, *, total: int, completed: int) -> dict[str, Any]:
    """A line of POST /api/push."""
    return _moving("pushing", layer, total, completed)


def doing(what: str) -> dict[str, Any]:
    """A line of either without numbers, e.g. "pulling manifest"."""
    return {"status": what}


def moment(seconds: float) -> str:
    """A point in time, RFC 3339 in UTC."""
    return datetime.fromtimestamp(int(seconds), tz=UTC).isoformat().replace("+00:00", "Z")


def _moving(verb: str, layer: str, total: int, completed: int) -> dict[str, Any]:
    short = layer.removeprefix(_DIGEST)[:12]
    return {"status": f"{verb} {short}", "digest": layer, "total": total, "completed": completed}


def _details(model: Described) -> dict[str, Any]:
    told: dict[str, Any] = {
        "parent_model": "",
        "format": model.format,
        "family": model.architecture,
        "families": [model.architecture] if model.architecture else [],
        "parameter_size": model.parameters.replace(" ", ""),
        "quantization_level": model.quantization,
    }
    if model.context is not None:
        told["context_length"] = model.context
    if model.memory:
        told["memory_size"] = size_text(model.memory)
    return told


def _digest(model: Described) -> str:
    """64 hexadecimal digits: Ollama's command line cuts off the first twelve unasked."""
    found = model.digest.removeprefix(_DIGEST)
    return found or hashlib.sha256(model.identity.encode(errors="replace")).hexdigest()
