"""The shapes of Docker Model Runner's own routes, which `runnerd serve` and the gateway share.

Source: docker/model-runner `pkg/inference/models/{api,http_handler}.go`,
`pkg/inference/scheduling/{api,http_handler}.go`, `pkg/distribution/internal/progress/reporter.go`,
and the recorded traffic of a running server.

Errors of these routes are plain text (`TEXT`), one sentence and a line feed: the docker model
command line prints the body as it is, and no SDK asks here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from modelrunner_protocol.durations import format_keep_alive

OWNER: Final = "docker"
"""`owned_by` of every model; Olla and others look for it."""

HEADER: Final = "X-Docker-Model-Runner"
"""Tells proxies such as Olla what kind of server this is."""

WELCOME: Final = "Docker Model Runner is running"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
NEVER_USED: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: `last_used` of what is in use now."""

_MEBIBYTE: Final = 1 << 20
# What Go's html.EscapeString writes; the command line unescapes it.
_ESCAPES: Final = str.maketrans(
    {"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&#34;"}
)
_SIZES: Final = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


class ShapeError(ValueError):
    """A body that is not what the route takes; the text is a sentence for the client (400)."""


class Kind(StrEnum):
    """What a line of a pull or a push is."""

    PROGRESS = "progress"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class Way(StrEnum):
    """`mode` of a line: which way the weights go."""

    PULL = "pull"
    PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of POST /models/create and …/push. `layer` is "sha256:…", "" for no layer.

    `total` is what all layers have, `size` what this one has, `current` how much of it is there.
    """

    kind: Kind
    message: str
    total: int = 0
    layer: str = ""
    size: int = 0
    current: int = 0
    way: Way = Way.PULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as the lists tell of it; unknown text is "".

    Attributes:
        identity: "sha256:…", its manifest's.
        tags: References, as `references.normalize` writes them.
        created: Seconds since the Unix epoch.
        size: Bytes of its weights.
        memory: Bytes that an engine needs for it, by an estimate; None where nobody knows.
        metadata: What the weights' own header says, as text.
    """

    identity: str
    tags: tuple[str, ...] = ()
    created: float = 0.0
    format: str = ""
    architecture: str = ""
    parameters: str = ""
    quantization: str = ""
    size: int = 0
    context_size: int | None = None
    memory: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unload:
    """What to unload. `backend` is "" for any."""

    models: tuple[str, ...] = ()
    all: bool = False
    backend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """What to pull. `token` is a registry's or a hub's; it is nowhere to be shown."""

    reference: str
    token: str = field(default="", repr=False)


def downloaded(layer: str, *, size: int, current: int, total: int, way: Way = Way.PULL) -> Line:
    """How far a layer is."""
    word = "Downloaded" if way is Way.PULL else "Uploaded"
    message = f"{word}: {current / _MEBIBYTE:.2f} MB"
    return Line(
        kind=Kind.PROGRESS,
        message=message,
        total=total,
        layer=layer,
        size=size,
        current=current,
        way=way,
    )


def pulled(way: Way = Way.PULL) -> Line:
    """The last line of a pull or a push."""
    word = "pulled" if way is Way.PULL else "pushed"
    return Line(kind=Kind.SUCCESS, message=f"Model {word} successfully", way=way)


def loaded() -> Line:
    """The only line of POST /models/load."""
    return Line(kind=Kind.SUCCESS, message="Model loaded successfully")


def cached(size: int) -> Line:
    """The only line of a pull of what is there already; clients look for its first words."""
    return Line(kind=Kind.SUCCESS, message=f"Using cached model: {size_text(size)}")


def failed(message: str, way: Way = Way.PULL) -> Line:
    """The last line of a pull that failed after its first line."""
    return Line(kind=Kind.ERROR, message=f"Error: {message}", way=way)


def wants_json(accept: str) -> bool:
    """Whether lines are sent as they are: only for exactly this `Accept`."""
    return accept == JSON


def line_type(accept: str) -> str:
    """The content type of a stream of lines."""
    return JSON if wants_json(accept) else "text/plain"


def line_bytes(line: Line, accept: str) -> bytes:
    """A line as it is sent: every member but a layer's id is always there.

    Unless JSON was asked for, it is escaped for HTML, and the command line unescapes it.
    """
    layer: dict[str, Any] = {"id": line.layer} if line.layer else {}
    told = {
        "type": line.kind.value,
        "message": line.message,
        "total": line.total,
        "layer": layer | {"size": line.size, "current": line.current},
        "mode": line.way.value,
    }
    text = json.dumps(told, separators=(",", ":"))
    return (text if wants_json(accept) else text.translate(_ESCAPES)).encode() + b"\n"


def model_object(model: Model) -> dict[str, Any]:
    """An entry of GET /models, and the answer of GET /models/{reference}."""
    config = _said(
        format=model.format,
        quantization=model.quantization,
        parameters=model.parameters,
        architecture=model.architecture,
        size=size_text(model.size) if model.size else "",
        memory=_memory(model),
        gguf=dict(model.metadata),
        context_size=model.context_size,
    )
    told: dict[str, Any] = {"id": model.identity}
    if model.tags:
        told["tags"] = list(model.tags)
    return told | {"created": int(model.created), "config": config}


def openai_object(model: Model, name: str = "", *, owner: str = OWNER) -> dict[str, Any]:
    """An entry of GET /v1/models. `name` is its id, else the first tag, else the identity."""
    dmr = dmr_object(model)
    told = {
        "id": name or next(iter(model.tags), model.identity),
        "object": "model",
        "created": int(model.created),
        "owned_by": owner,
    }
    return told | {"dmr": dmr} if dmr else told


def dmr_object(model: Model) -> dict[str, Any]:
    """The member `dmr` of an entry of GET /v1/models; {} when nothing is known."""
    return _said(
        context_window=model.context_size,
        architecture=model.architecture,
        parameters=model.parameters,
        quantization=model.quantization,
        size=size_text(model.size) if model.size else "",
        memory=_memory(model),
    )


def size_text(count: int) -> str:
    """Bytes for people: 96574464 → "92.10 MiB"."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return f"{count} B"


def running_row(
    *,
    backend: str,
    model: str,
    mode: str,
    last_used: float | None = None,
    in_use: bool = False,
    loading: bool = False,
    keep_alive: float | None = None,
) -> dict[str, Any]:
    """A row of GET /engines/ps. `model` is the name that the client used.

    `keep_alive` is in seconds, None for the default, which is not told.
    """
    used = NEVER_USED if in_use or last_used is None else moment(last_used)
    row: dict[str, Any] = {
        "backend_name": backend,
        "model_name": model,
        "mode": mode,
        "last_used": used,
    }
    if in_use:
        row["in_use"] = True
    if loading:
        row["loading"] = True
    if keep_alive is not None:
        row["keep_alive"] = format_keep_alive(keep_alive)
    return row


def disk_usage(*, models: int, backend: int) -> dict[str, int]:
    """The answer of GET /engines/df, in bytes."""
    return {"models_disk_usage": models, "default_backend_disk_usage": backend}


def running_status(what: str) -> str:
    """A backend's text in GET /engines/status when it can serve."""
    return f"Running: {what}"


def broken_status(why: str) -> str:
    """A backend's text when it cannot serve."""
    return f"Error: {why}"


def missing_status(why: str = "") -> str:
    """A backend's text when it is not there."""
    return f"Not Installed: {why}" if why else "Not Installed"


def tag_answer(target: str) -> dict[str, str]:
    """The answer of POST /models/{reference}/tag (201)."""
    return {"message": f'Model tagged successfully with "{target}"', "target": target}


def removal_answer(done: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The answer of DELETE /models/{reference}: ("Untagged", tag) and ("Deleted", identity)."""
    return [{what: name} for what, name in done]


def unload_answer(count: int) -> dict[str, int]:
    """The answer of POST /engines/unload."""
    return {"unloaded_runners": count}


def push_request(data: object) -> str:
    """The token in the body of POST /models/{reference}/push `{"bearer-token"}`, "" for none.

    Raises:
        ShapeError: another shape.
    """
    return _text(_object(data), "bearer-token")


def unload_request(data: object) -> Unload:
    """The body of POST …/unload `{"all", "backend", "models"}`.

    Raises:
        ShapeError: another shape.
    """
    body = _object(data)
    models = body.get("models")
    if models is None:
        models = []
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        raise ShapeError("models must be a list of names")
    every = body.get("all")
    if every is not None and not isinstance(every, bool):
        raise ShapeError("all must be true or false")
    return Unload(models=tuple(models), all=every is True, backend=_text(body, "backend"))


def underscore_unload_request(data: object) -> Unload:
    """The body of POST …/_unload `{"model"}`, as docker-agent sends it.

    Raises:
        ShapeError: another shape.
    """
    model = _text(_object(data), "model")
    if not model:
        raise ShapeError("model is required")
    return Unload(models=(model,))


def create_request(data: object) -> Create:
    """The body of POST /models/create `{"from", "bearer-token"}`.

    Raises:
        ShapeError: another shape.
    """
    body = _object(data)
    reference = _text(body, "from")
    if not reference:
        raise ShapeError("from is required: the reference of the model to pull")
    return Create(reference=reference, token=_text(body, "bearer-token"))


def moment(seconds: float) -> str:
    """A point in time as Go writes it: RFC 3339 in UTC."""
    text = datetime.fromtimestamp(seconds, tz=UTC).isoformat()
    return text.replace("+00:00", "Z")


def _object(data: object) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ShapeError("the body must be a JSON object")
    return data


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise ShapeError(f"{name} must be a string")
    return found


def _memory(model: Model) -> str:
    return size_text(model.memory) if model.memory else ""


def _said(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", {})}
