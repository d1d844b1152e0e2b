"""Changing the number of runners: doors first, then the scale, and doors open again if it fails.

A closed door opens by itself when its lease is over, so an operator that dies half-way has taken
nothing away. The scale is written only over exactly the Deployment that was looked at: whoever
has changed anything about it meanwhile, the gateway among them, was first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from modelrunner.domain.fleet import Runner
from modelrunner.domain.naming import DELETION_COST_ANNOTATION, FIELD_MANAGER, FIRST_TO_GO
from modelrunner.domain.objects import Object, name_of, text
from modelrunner.domain.scaling import Grow, Reopen, Retire, Sleep
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import DEPLOYMENTS, PODS
from modelrunner.kube.store import Store
from modelrunner.reconcilers.ledger import Record
from modelrunner.reconcilers.plan import Scaling
from modelrunner.reconcilers.probe import Door, DoorAnswer, RunnerProbe
from modelrunner_protocol.runner import Closing

LEASE: Final = 30.0
"""Seconds that a door stays closed unless it is closed again."""

IN_TIME: Final = 20.0
"""Seconds from the closing in which the scale has to be written, else the doors open again."""

DENIED: Final = 270.0
"""Seconds in which the server is not asked again for what it has refused for good."""

_ACTION: Final = "Scale"
_REMEMBERED: Final = 10_000
_log = logging.getLogger(__name__)

Told = Callable[[str, str], None]
"""Told each step: direction (up, down) and result (done, busy, unknown, outrun, denied, failed)."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Carries out scale steps. `told` counts them; `clock` gives seconds since the epoch."""

    client: KubeClient
    store: Store
    recorder: EventRecorder
    probe: RunnerProbe
    clock: Callable[[], float]
    told: Told = lambda _direction, _result: None

    async def carry_out(self, model: Object, step: Scaling, record: Record) -> None:
        """Take one step, or leave everything as it is.

        Raises:
            KubeError: the API server did not answer; doors are open again.
        """
        if record.denied_at is not None and self.clock() - record.denied_at < DENIED:
            return
        match step.action:
            case Reopen(runners):
                await self._reopen(runners)
            case Grow(to, why):
                if await self._scale(model, step, to, record) is _End.SCALED:
                    await self._tell(model, step, to, why)
            case Sleep(runners, why):
                attempt = self._close_all(model, step, runners, record)
                if await self._or_reopen(runners, attempt) is _End.SCALED:
                    await self._tell(model, step, 0, why)
            case Retire(runner, to, why):
                doors = [runner] if runner.ip else []
                attempt = self._drain(model, step, runner, record)
                if await self._or_reopen(doors, attempt) is _End.SCALED:
                    await self._tell(model, step, to, why)

    async def _close_all(
        self, model: Object, step: Scaling, runners: Sequence[Runner], record: Record
    ) -> "_End":
        answers = await asyncio.gather(
            *(
                self.probe.close_door(runner.ip, Closing(lease=LEASE, last_used_at=_used(runner)))
                for runner in runners
            )
        )
        if not self._agreed(model, runners, answers, record):
            return _End.FAILED
        return await self._scale(model, step, 0, record)

    async def _drain(self, model: Object, step: Scaling, runner: Runner, record: Record) -> "_End":
        if runner.ip:
            answer = await self.probe.close_door(runner.ip, Closing(lease=LEASE, drain=True))
            if not self._agreed(model, [runner], [answer], record):
                return _End.FAILED
            if answer.status is None or answer.status.in_flight:
                return _End.WAITING
        if not runner.marked:
            marked = await self._patch(model, step, record, self._mark(model, runner))
            if not marked:
                return _End.FAILED
        return await self._scale(model, step, step.replicas - 1, record)

    async def _or_reopen(
        self, runners: Sequence[Runner], attempt: Coroutine[None, None, "_End"]
    ) -> "_End":
        end = _End.FAILED
        try:
            async with asyncio.timeout(IN_TIME):
                end = await attempt
        except TimeoutError:
            self.told("down", "failed")
            _log.warning("a scale step took too long; its doors are opened again")
        finally:
            if end is _End.FAILED:
                await self._reopen(runners)
        return end

    async def _reopen(self, runners: Sequence[Runner]) -> None:
        await asyncio.gather(*(self.probe.open_door(runner.ip) for runner in runners))

    def _agreed(
        self,
        model: Object,
        runners: Sequence[Runner],
        answers: Sequence[DoorAnswer],
        record: Record,
    ) -> bool:
        missing = [
            runner.uid
            for runner, answer in zip(runners, answers, strict=True)
            if answer.door is Door.MISSING
        ]
        if missing and not record.doorless:
            _log.warning(
                "Model %s is not scaled down: its runner image is of a time when runners could not"
                " close their doors. Mend: use a newer image",
                _path(model),
            )
        record.doorless.update(missing)
        if all(answer.door is Door.CLOSED for answer in answers):
            return True
        busy = any(answer.door is Door.BUSY for answer in answers)
        self.told("down", "busy" if busy else "unknown")
        return False

    async def _scale(self, model: Object, step: Scaling, to: int, record: Record) -> "_End":
        """Write the number of replicas, if the Deployment still is the one that was looked at."""
        namespace = text(model, "metadata", "namespace")
        write = self.client.json_patch(
            DEPLOYMENTS,
            namespace,
            step.deployment,
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": step.resource_version},
                # The server leaves a zero out, and `add` also sets what is there.
                {"op": "add", "path": "/spec/replicas", "value": to},
            ],
            subresource="scale",
            field_manager=FIELD_MANAGER,
        )
        if not await self._patch(model, step, record, write):
            return _End.FAILED
        self.told(_direction(step), "done")
        record.denied_at = None
        await self._look(namespace, step.deployment)
        return _End.SCALED

    async def _mark(self, model: Object, runner: Runner) -> None:
        """Have Kubernetes take this pod, and none of those that serve."""
        marks = {DELETION_COST_ANNOTATION: FIRST_TO_GO}
        live = await self.client.merge_patch(
            PODS,
            text(model, "metadata", "namespace"),
            runner.name,
            {"metadata": {"uid": runner.uid, "annotations": marks}},
            field_manager=FIELD_MANAGER,
        )
        self.store.put(PODS, live)

    async def _patch(
        self, model: Object, step: Scaling, record: Record, write: Awaitable[object]
    ) -> bool:
        """Whether a write was taken. One that was refused is told by what it means."""
        try:
            await write
        except (Conflict, NotFound):
            self.told(_direction(step), "outrun")
        except (Invalid, Forbidden) as error:
            await self._refused(model, step, error, record)
        except KubeError:
            self.told(_direction(step), "failed")
            raise
        else:
            return True
        return False

    async def _refused(
        self, model: Object, step: Scaling, error: KubeError, record: Record
    ) -> None:
        live = await self._look(text(model, "metadata", "namespace"), step.deployment)
        version = text(live or {}, "metadata", "resourceVersion")
        if live is None or (isinstance(error, Invalid) and version != step.resource_version):
            self.told(_direction(step), "outrun")
            return
        record.denied_at = self.clock()
        self.told(_direction(step), "denied")
        note = (
            f"the API server does not let the operator scale Deployment {step.deployment}:"
            f" {error.message.rstrip('.')}. Mend: let its account get and patch deployments/scale"
            " and patch pods, as the chart of this version does, or change the policy that refuses it"
        )
        _log.warning("%s", note, extra={"model": _path(model)})
        await self.recorder.record(
            model, type="Warning", reason="ScaleRefused", note=note, action=_ACTION
        )

    async def _tell(self, model: Object, step: Scaling, to: int, why: str) -> None:
        direction = _direction(step)
        note = f"{why}: {step.replicas} → {to} runners"
        _log.info("scaled %s: %s", direction, note, extra={"model": _path(model)})
        await self.recorder.record(
            model, type="Normal", reason=f"Scaled{direction.title()}", note=note, action=_ACTION
        )

    async def _look(self, namespace: str, name: str) -> Object | None:
        """The Deployment now: what was decided on is out of date, whoever has changed it."""
        try:
            live = await self.client.get(DEPLOYMENTS, namespace, name)
        except KubeError:
            # The watch will tell.
            return None
        if live is not None:
            self.store.put(DEPLOYMENTS, live)
        return live


class _End(Enum):
    SCALED = "scaled"
    WAITING = "waiting"
    """The door is closed, and stays so until the runner has finished what it has."""

    FAILED = "failed"


def _direction(step: Scaling) -> str:
    return "up" if isinstance(step.action, Grow) else "down"


def _used(runner: Runner) -> float | None:
    return runner.status.last_used_at if runner.status is not None else None


def _path(model: Object) -> str:
    return f"{text(model, 'metadata', 'namespace')}/{name_of(model)}"
