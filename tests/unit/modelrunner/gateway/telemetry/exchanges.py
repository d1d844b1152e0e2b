"""Requests and models for the tests of telemetry."""

from typing import Any

from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.exchange import Exchange


def model(name: str = "smollm2", namespace: str = "ml", **fields: Any) -> ModelEntry:
    """A model of the route table."""
    return ModelEntry(namespace, name, f"uid-{name}", **fields)


def exchange(entry: ModelEntry | None = None, status: int = 200, **fields: Any) -> Exchange:
    """A chat that was received at 100 s."""
    found = Exchange(b"id-1", "10.0.0.9", "POST", "chat_completions", "openai", 100.0)
    found.entry, found.status = entry, status
    found.endpoint = "smollm2-0" if entry is not None and status < 400 else ""
    for name, value in fields.items():
        setattr(found, name, value)
    return found
