"""The runners of one Model as the operator knows them: their pods, and what they say themselves."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelrunner.domain.decision import rolling
from modelrunner.domain.naming import DELETION_COST_ANNOTATION, FIRST_TO_GO
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    created_at,
    dig,
    is_true,
    name_of,
    text,
    uid_of,
)
from modelrunner.domain.pods import address
from modelrunner.domain.scheduling import held_since
from modelrunner_protocol.runner import RunnerState, RunnerStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One pod that is not being deleted.

    `ip` "": no container of it runs, so nobody can be using it. `status` None: it gave no answer.
    `closable` False: its image is of a time when runners had no door to close. `marked`: it is
    the one that Kubernetes takes first when the Deployment shrinks. `node` "": none was found yet.
    `held_since`: since when it waits for a node or for its volumes.
    """

    uid: str
    name: str
    created: float
    ip: str
    ready: bool
    status: RunnerStatus | None = None
    closable: bool = True
    marked: bool = False
    node: str = ""
    held_since: float | None = None

    @property
    def closed(self) -> bool:
        """Whether its door is closed, which also makes it not ready.

        It says so only while it is: its clock and ours need not agree.
        """
        return self.status is not None and self.status.closed_until is not None

    @property
    def serving(self) -> bool:
        """Whether it and the kubelet say that it takes requests."""
        return self.ready and self.status is not None and self.status.state is RunnerState.READY

    @property
    def up_since(self) -> float:
        """When its engine could take requests; infinitely late where that is not known."""
        status = self.status
        if status is None:
            return float("inf")
        return status.warmed_at or status.engine_ready_at or status.started_at

    @property
    def load(self) -> int:
        """Requests that are inside, or told to it as waiting at gateways; 0 where unknown."""
        return self.status.in_flight + self.status.held if self.status is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A Deployment's runners. `version` is the Deployment's resourceVersion.

    `stable`: its controller has made what its spec says, and no rollout is going on.
    """

    name: str
    version: str
    replicas: int
    stable: bool
    runners: Sequence[Runner] = ()

    @property
    def started(self) -> list[Runner]:
        """The runners somebody could be using."""
        return [runner for runner in self.runners if runner.ip]

    @property
    def known(self) -> bool:
        """Whether every runner that has started serves or is closed, and has said how it is."""
        return bool(self.started) and all(
            runner.serving or runner.closed for runner in self.started
        )

    @property
    def load(self) -> int:
        """Requests inside all runners and waiting for them."""
        return sum(runner.load for runner in self.runners)


def alive(pods: Iterable[Object]) -> list[Object]:
    """The pods that count: not on their way out, and not left behind as failed."""
    return [
        pod
        for pod in pods
        if not being_deleted(pod) and text(pod, "status", "phase") not in {"Failed", "Succeeded"}
    ]


def muster(
    deployment: Object,
    pods: Iterable[Object],
    statuses: Mapping[str, RunnerStatus | None],
    *,
    doorless: Collection[str] = (),
) -> Fleet:
    """The fleet of a Deployment. `statuses` and `doorless` are by the pods' uids."""
    found = [_runner(pod, statuses.get(uid_of(pod)), doorless) for pod in alive(pods)]
    wanted = dig(deployment, "spec", "replicas")
    replicas = wanted if isinstance(wanted, int) else 1
    return Fleet(
        name=name_of(deployment),
        version=text(deployment, "metadata", "resourceVersion"),
        replicas=replicas,
        # The cache of pods and that of Deployments are filled by two watches: when they do not
        # agree, one of them is late.
        stable=len(found) == replicas and not rolling(deployment),
        runners=sorted(found, key=lambda runner: (runner.created, runner.name)),
    )


def _runner(pod: Object, status: RunnerStatus | None, doorless: Collection[str]) -> Runner:
    return Runner(
        uid=uid_of(pod),
        name=name_of(pod),
        created=created_at(pod),
        ip=address(pod),
        ready=is_true(pod, "Ready"),
        status=status,
        closable=uid_of(pod) not in doorless,
        marked=annotation(pod, DELETION_COST_ANNOTATION) == FIRST_TO_GO,
        node=text(pod, "spec", "nodeName"),
        held_since=held_since(pod),
    )
