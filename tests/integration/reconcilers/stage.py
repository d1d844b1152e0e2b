"""A Model that serves, with runners over HTTP: what the tests of scaling begin with."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelrunner.reconcilers.probe import HttpRunnerProbe
from tests.integration.reconcilers.bench import PATIENCE, Bench, written
from tests.support.door_runners import DoorRunner, DoorRunners
from tests.support.kubeapi import Object
from tests.support.pod_statuses import running

MODEL: dict[str, Any] = {"source": {"http": {"url": "http://files.example/m.gguf"}}}


@dataclass
class Stage:
    """A bench with the Model `m`, whose runners answer on addresses of their own."""

    bench: Bench
    doors: DoorRunners
    runners: list[DoorRunner] = field(default_factory=list)

    async def serve(
        self, model: dict[str, Any] | None = None, runner: dict[str, Any] | None = None
    ) -> DoorRunner:
        """The Model becomes Ready with one runner that nobody has used."""
        self.bench.put("ModelRunner", "default", runner or {})
        self.bench.put("Model", "m", MODEL | (model or {}))
        await self.bench.cached("m")
        self.bench.stop_clock()
        return await self.runner()

    async def runner(self) -> DoorRunner:
        """The pod that the Deployment has made is ready, and answers."""
        found = await self.doors.add(
            f"127.0.1.{len(self.runners) + 1}", warmed_at=self.bench.clock()
        )
        self.runners.append(found)
        if self.bench.real is None:
            self.bench.real = HttpRunnerProbe(port=self.doors.port, timeout=60)
            self.bench.restart()
        pod = self.bench.runner_pod()
        self.bench.set_status(pod, running("runner", found.address, ready=True))
        self.bench.rolled_out("m", self.replicas)
        await self.bench.until_still("m")
        return found

    def later(self, seconds: float) -> None:
        """Time passes for the operator."""
        self.bench.offset += seconds

    @property
    def now(self) -> float:
        """The operator's time."""
        return self.bench.clock()

    @property
    def replicas(self) -> int:
        """What the Deployment wants."""
        return int(self.bench.must("apps/v1", "Deployment", "m")["spec"]["replicas"])

    @property
    def status(self) -> Object:
        """The Model's status as stored."""
        return dict(self.bench.model("m")["status"])

    def events(self, reason: str) -> list[str]:
        """What was told under a reason."""
        found = self.bench.api.list("events.k8s.io/v1", "Event", self.bench.namespace)
        return [event["note"] for event in found if event["reason"] == reason]

    async def look(self, times: int = 1) -> float | None:
        """So many reconciles; the requeue that the last one asks for."""
        found = None
        for _ in range(times):
            found = await self.bench.once("m")
        return found

    async def looks_for(self, seconds: float, every: float = 10) -> None:
        """Reconciles as often as the polls come."""
        for _ in range(int(seconds / every)):
            self.later(every)
            await self.look()

    async def until_replicas(self, wanted: int) -> None:
        """Look until the Deployment wants so many."""
        await self.until(f"{wanted} replicas", lambda: self.replicas == wanted)

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Look until it holds: controllers may come in between two looks."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    await self.look()
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            found = (
                f"{what}: not so with {self.replicas} replicas, {self.status}: {self.bench.steps}"
            )
            raise AssertionError(found) from error

    async def close(self) -> None:
        """Give up the connections."""
        if self.bench.real is not None:
            await self.bench.real.close()


async def writes_in(stage: Stage, seconds: float) -> float:
    """Writes while the polls go on for so long."""
    before = written()
    await stage.looks_for(seconds)
    return written() - before
