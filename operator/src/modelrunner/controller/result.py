"""What a reconcile asks the queue for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """Done for now; look again after `requeue_after` seconds (None: when something changes)."""

    requeue_after: float | None = None
