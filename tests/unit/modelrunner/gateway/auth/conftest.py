"""Secrets as the API server gives them, and models to use keys on."""

import base64
import hashlib
from typing import Any

from modelrunner.gateway.table.entry import ModelEntry

Secret = dict[str, Any]


def secret(name: str, plain: str = "", /, **data: str) -> Secret:
    """A Secret; `plain` is the key whose hash it holds, `data` its other fields."""
    if plain:
        data = {"sha256": hashlib.sha256(plain.encode()).hexdigest(), **data}
    encoded = {one: base64.b64encode(value.encode()).decode() for one, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"modelrunner.dev/api-key": "true"}},
        "type": "Opaque",
        "data": encoded,
    }


def model(namespace: str = "ml", name: str = "smollm2", **fields: Any) -> ModelEntry:
    """A Model's entry."""
    return ModelEntry(namespace, name, f"uid-of-{namespace}-{name}", **fields)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now
