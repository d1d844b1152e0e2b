"""The models as lists tell them. Pure.

An entry is there for each name that a request may use: the Model's name and its aliases, as
written, so that a client finds the very name it was configured with (docker-agent compares IDs).
A name that belongs to an older Model is not the younger one's; if that is its own name, it is
listed as `namespace/name`. Sleeping and failed Models are listed too: the first wake when asked,
the others say what is wrong with them.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from modelrunner_protocol.ollama import tagged
from modelrunner_protocol.references import normalize

_SHA256: Final = "sha256:"
_ID: Final = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")
_OWNER: Final = "docker"
"""What Docker Model Runner's lists say (dmr-golden/034); Olla and others know no other word."""


Allowed = Callable[[ModelEntry], bool]
"""Whether the client that asks may know of a model."""


class Catalogue:
    """Lists and single entries, for one client and one engine ("": any) at a time."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    def listed(self, allowed: Allowed, engine: str = "") -> list[tuple[str, ModelEntry]]:
        """Names with their models, by name."""
        found = [
            (name, model)
            for model in self._table.models()
            if allowed(model) and _serves(model, engine)
            for name in self._own(model)
        ]
        return sorted(found, key=lambda one: one[0])

    def models(self, allowed: Allowed) -> list[ModelEntry]:
        """Each model once, by namespace and name."""
        return [model for model in self._table.models() if allowed(model)]

    def name_of(self, model: ModelEntry) -> str:
        """The shortest name that a request may use for it and nobody takes from it."""
        return model.name if self._table.find(model.name) is model else model.path

    def tagged(self, name: str, model: ModelEntry) -> str:
        """The name with a tag, where the model goes by that, too."""
        found = tagged(name)
        return found if self._table.find(found) is model else name

    def one(self, name: str, allowed: Allowed, engine: str = "") -> ModelEntry | None:
        """The model that answers to a name in any spelling; None also for what is not allowed."""
        model = self._table.find(name)
        if model is None or not allowed(model) or not _serves(model, engine):
            return None
        return model

    def meant(self, name: str, allowed: Allowed) -> ModelEntry | None:
        """As `one`; a name without a slash may also be an ID, or the last part of one model's name.

        An ID may be written whole, without `sha256:`, or as its first twelve digits; of several
        Models of the same weights the first by name is meant.
        """
        found = self.one(name, allowed)
        if found is not None or "/" in name or not name:
            return found
        digits = name.removeprefix(_SHA256)
        if _ID.fullmatch(digits):
            prefix = _SHA256 + digits
            named = (one for one in self.models(allowed) if one.identity.startswith(prefix))
            return next(named, None)
        short = {
            model.path: model
            for model in self.models(allowed)
            for one in (model.name, *model.aliases)
            if name in _last_parts(one)
        }
        return next(iter(short.values())) if len(short) == 1 else None

    def tags(self, model: ModelEntry) -> tuple[str, ...]:
        """Its names as references, in Docker Model Runner's spelling where they are known by it."""
        found: dict[str, None] = {}
        for name in self._own(model):
            full = normalize(name)
            found[full if self._table.find(full) is model else name] = None
        return tuple(found)

    def _own(self, model: ModelEntry) -> Iterator[str]:
        yield self.name_of(model)
        for alias in dict.fromkeys(model.aliases):
            if alias != model.name and self._table.find(alias) is model:
                yield alias


def _last_parts(name: str) -> tuple[str, str]:
    """Of `myorg/model:v1`: `model:v1` and `model`."""
    last = name.rpartition("/")[2]
    return last, last.partition(":")[0]


def _serves(model: ModelEntry, engine: str) -> bool:
    """A path that names an engine lists what may be asked there: inference refuses the rest."""
    return not engine or model.engine in {"", engine}


def openai(name: str, model: ModelEntry) -> dict[str, Any]:
    """One entry of OpenAI's list, with Docker Model Runner's `dmr` (dmr-api.md §1.2).

    Fields of `dmr` that nobody knows yet are left out.
    """
    artifact = model.status.get("artifact") or {}
    told = {
        "context_window": context_of(model),
        "architecture": artifact.get("architecture"),
        "parameters": artifact.get("parameters"),
        "quantization": artifact.get("quantization"),
        "size": artifact.get("size"),
        "memory": artifact.get("memory"),
    }
    return {
        "id": name,
        "object": "model",
        "created": int(moment_of(model.created).timestamp()),
        "owned_by": _OWNER,
        "dmr": {key: value for key, value in told.items() if value},
    }


def anthropic(name: str, model: ModelEntry) -> dict[str, Any]:
    """One entry of Anthropic's list (Anthropic API reference, "List Models")."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": moment_of(model.created).isoformat().replace("+00:00", "Z"),
    }


def context_of(model: ModelEntry) -> int | None:
    """Tokens that a conversation may have: what the Model asks for, else what it was trained for."""
    asked = (model.spec.get("config") or {}).get("contextSize")
    if asked is not None and asked > 0:
        return int(asked)
    trained = (model.status.get("artifact") or {}).get("contextSize")
    return None if trained is None else int(trained)


def memory_of(model: ModelEntry) -> int | None:
    """Bytes that an engine needs for it, by the operator's estimate."""
    found = (model.status.get("artifact") or {}).get("memoryBytes")
    return found if isinstance(found, int) else None


def moment_of(created: str) -> datetime:
    """When a Model was made; the epoch where that is no time."""
    try:
        return datetime.fromisoformat(created)
    except ValueError:
        return datetime.fromtimestamp(0, tz=UTC)
