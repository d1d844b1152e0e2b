"""Sentences for clients whose model cannot take their request. Pure."""

from collections.abc import Sequence

from modelrunner.gateway.table.entry import ModelEntry


def standing(entry: ModelEntry, *, wake_trouble: str, runners: Sequence[str]) -> str:
    """What a model is doing instead of answering.

    `wake_trouble` is why it could not be woken; `runners` is what those that are there say.
    """
    parts = []
    if wake_trouble:
        parts.append(f"it sleeps and could not be woken: {wake_trouble}")
    if entry.trouble is not None:
        parts.append(f"{entry.trouble.reason}: {entry.trouble.message}".rstrip(": "))
    if entry.ready:
        parts.append("its runners are busy or do not answer")
    elif entry.starting:
        told = "; ".join(sorted({words for words in runners if words}))
        parts.append(f"its runner is starting ({told})" if told else "its runner is starting")
    elif not parts:
        parts.append(f"waiting for its pod (phase {entry.phase or 'unknown'})")
    return "; ".join(parts)


def too_late(entry: ModelEntry, seconds: float, state: str) -> str:
    """Why a request was given up."""
    return (
        f"The model {entry.path} could not take this request within {round(seconds, 1):g} s: {state}. "
        "It may be ready later: try again"
    )


def hopeless(entry: ModelEntry) -> str:
    """Why waiting would be in vain."""
    trouble = entry.trouble
    told = trouble.message if trouble is not None else ""
    return f"The model {entry.path} cannot serve until somebody acts: {told or entry.phase}"


def queue_full(entry: ModelEntry) -> str:
    """Why nobody else may wait."""
    return f"{entry.max_held} requests are waiting for the model {entry.path} already: try again"
