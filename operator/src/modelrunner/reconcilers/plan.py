"""A plan is a value: what to write, in order, what to tell, and when to look again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelrunner.domain.downloads import PullEnd
from modelrunner.domain.scaling import Grow, Reopen, Retire, Sleep
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
    """Background deletion of exactly the object that was looked at.

    `resource_version`: in the very state that was looked at; "" whatever has become of it.
    """

    resource: Resource
    name: str
    uid: str
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge patch of exactly the object that was looked at.

    `manager` is the field manager that what it sets belongs to. `optional`: that the server does
    not take it is told, and nothing else waits for it.
    """

    resource: Resource
    name: str
    uid: str
    body: dict[str, Any]
    manager: str
    optional: bool = False


Step = Apply | Create | Delete | Patch


@dataclass(frozen=True, slots=True)
class Scaling:
    """A change of the number of runners, from the state of the Deployment that was looked at."""

    deployment: str
    resource_version: str
    replicas: int
    action: Grow | Sleep | Retire | Reopen


@dataclass(frozen=True, slots=True)
class Event:
    """A transition, told once."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one reconcile does. `status` is the whole value; it is written when it differs.

    `scaling` comes last: it needs runners that agree, and may be refused like any other race.
    `pull_ended`: the pull Job whose result this plan has taken.
    `due_in`: seconds until the source is to be looked at, whatever happens until then.
    `at_rest`: nothing is to be done, and only use or a change of an object can change that.
    """

    steps: Sequence[Step]
    status: dict[str, Any]
    events: Sequence[Event]
    requeue_after: float | None
    scaling: Scaling | None = None
    at_rest: bool = False
    pull_ended: PullEnd | None = None
    due_in: float | None = None
