"""A plan is a value: what to write, in order, what to tell, and when to look again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelrunner.kube.resources import Resource


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of a desired object; the first one creates it."""

    resource: Resource
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """POST of an object that cannot be changed afterwards (a Job)."""

    resource: Resource
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """Background deletion of exactly the object that was looked at."""

    resource: Resource
    name: str
    uid: str


Step = Apply | Create | Delete


@dataclass(frozen=True, slots=True)
class Event:
    """A transition, told once."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one reconcile does. `status` is the whole value; it is written when it differs."""

    steps: Sequence[Step]
    status: dict[str, Any]
    event: Event | None
    requeue_after: float | None
