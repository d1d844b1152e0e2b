"""Routing and hold with everything real but the network: the runners and the API server.

async def scenario() -> None:
    async with World() as world:
        world.sleeping("ml/smol")
        held = world.hold(world.chat("smol"))
        await world.settled()
        world.pods("ml/smol", starting=["10.0.0.1"])
        …
virtual_time.run(scenario())
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.hold.scaling import Attempt, Tried
from modelrunner.gateway.messages import (
    Answer,
    Decision,
    Endpoint,
    Forward,
    Held,
    Request,
)
from modelrunner.gateway.routing.router import Router
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from modelrunner.gateway.telemetry.meters import Meters
from tests.support.table_objects import Object, condition, endpoint, endpoint_slice, model

if TYPE_CHECKING:
    from modelrunner.gateway.telemetry.exchange import Exchange

CHAT = "/v1/chat/completions"
READY = Readiness(ready=True, slots=2)
LOADING = Readiness(ready=False, words="the model is being loaded")


class ScriptedRunners:
    """Runners by host. `says[host]` is its answer; a host that is not there refuses connections.

    A runner that is not ready keeps the question for two seconds, as runnerd does.
    """

    def __init__(self) -> None:
        self.says: dict[str, Readiness] = {}
        self.asked: list[str] = []
        self.asking = 0
        self.reports: list[tuple[str, int]] = []
        self._changed = asyncio.Event()

    def say(self, host: str, readiness: Readiness | None) -> None:
        """From now on the host answers so; None: it is gone."""
        if readiness is None:
            self.says.pop(host, None)
        else:
            self.says[host] = readiness
        self._changed.set()
        self._changed = asyncio.Event()

    async def readiness(self, endpoint: Endpoint) -> Readiness:
        """Part of Runners."""
        host = str(endpoint.address[0])
        self.asked.append(host)
        self.asking += 1
        try:
            async with asyncio.timeout(2.0):
                while (said := self.says.get(host)) is not None and not said.ready:
                    await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self.asking -= 1
        return self.says.get(host) or Readiness(ready=False)

    async def report(self, endpoint: Endpoint, held: int) -> None:
        """Part of Runners."""
        await asyncio.sleep(0)
        self.reports.append((str(endpoint.address[0]), held))


class ScriptedScaler:
    """The API server's side of a wake. `script` is what it answers, then `default`."""

    def __init__(self) -> None:
        self.script: list[Tried] = []
        self.default = Tried(Attempt.WOKEN)
        self.calls: list[tuple[float, str]] = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def wake(self, namespace: str, name: str) -> Tried:
        """Part of Scaler."""
        self.calls.append((asyncio.get_running_loop().time(), f"{namespace}/{name}"))
        await (self.before() if self.before else asyncio.sleep(0.01))
        return self.script.pop(0) if self.script else self.default


class World:
    """One gateway's routing and hold."""

    def __init__(self, *, keys: KeyRing | None = None, max_bytes: int = 1 << 20) -> None:
        self.loop = asyncio.get_running_loop()
        self.table = RouteTable()
        self.runners = ScriptedRunners()
        self.scaler = ScriptedScaler()
        self.ended: list[Exchange] = []
        self.meters = Meters(lambda exchange, _: self.ended.append(exchange))
        self.rests = Rests()
        self.limits = Limits(self.loop.time)
        self.back_office = Endpoint("back office", "/run/back-office.sock")
        self.holds = Holds(
            self.table,
            runners=self.runners,
            scaler=self.scaler,
            meters=self.meters,
            rests=self.rests,
            max_bytes=max_bytes,
        )
        self.router = Router(
            self.table,
            holds=self.holds,
            rests=self.rests,
            limits=self.limits,
            meters=self.meters,
            back_office=self.back_office,
            keys=keys,
        )
        self.table.subscribe(lambda entry: self.meters.drop(entry) if entry.gone else None)
        self._versions = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.holds.close()

    def put(
        self,
        path: str,
        phase: str,
        *conditions: Object,
        max_held: int = 100,
        timeout: float = 300.0,
        spec: Object | None = None,
        **status: Any,
    ) -> ModelEntry:
        """A Model in this state."""
        self._versions += 1
        activation = {"maxHeld": max_held, "timeoutSeconds": timeout}
        told = {
            "phase": phase,
            "engine": "llama.cpp",
            "conditions": list(conditions),
            "activation": activation,
            **status,
        }
        self.table.put_model(model(path, version=self._versions, spec=spec, status=told))
        return self.entry(path)

    def sleeping(self, path: str, **more: Any) -> ModelEntry:
        """A Model asleep."""
        return self.put(path, "Idle", condition("Ready", "True", "ScaledToZero"), **more)

    def awake(self, path: str, *hosts: str, **more: Any) -> ModelEntry:
        """A Model with ready runners on these hosts."""
        self.put(path, "Ready", condition("Ready", "True", "Ready"), **more)
        self.pods(path, ready=hosts)
        for host in hosts:
            self.runners.say(host, READY)
        return self.entry(path)

    def failing(self, path: str, reason: str, message: str, **more: Any) -> ModelEntry:
        """A Model that stays as it is until somebody acts."""
        return self.put(
            path,
            "Failed",
            condition("Ready", "False", reason, message),
            condition("Stalled", "True", reason, message),
            **more,
        )

    def pods(self, path: str, *, ready: Sequence[str] = (), starting: Sequence[str] = ()) -> None:
        """The Model's runner pods, by address."""
        found = [endpoint(host, ready=True, pod=host) for host in ready]
        found += [endpoint(host, ready=False, pod=host) for host in starting]
        self.table.put_slice(endpoint_slice(path, *found))

    def delete(self, path: str) -> None:
        """The Model is gone."""
        self.table.drop_model(model(path))

    def entry(self, path: str) -> ModelEntry:
        """The Model in the route table."""
        found = self.table.find(path)
        assert found is not None
        return found

    def post(
        self,
        path: str,
        body: Any,
        *headers: tuple[bytes, bytes],
        method: str = "POST",
    ) -> Decision:
        """Decide about a request; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.router.decide(
            Request(method, path, b"", list(headers), raw, b"id-1", "10.1.1.1", self.loop.time())
        )

    def chat(self, name: str, *headers: tuple[bytes, bytes], **body: Any) -> Decision:
        """Decide about a chat with a model."""
        return self.post(CHAT, {"model": name, "messages": [], **body}, *headers)

    async def settled(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(10):
            await asyncio.sleep(0)


def forwarded(decision: Decision) -> Forward:
    """The decision is to send it."""
    assert isinstance(decision, Forward), decision
    return decision


def held(decision: Decision) -> Held:
    """The decision is to hold it."""
    assert isinstance(decision, Held), decision
    return decision


def answered(decision: Decision) -> tuple[int, Any]:
    """The decision is to answer it: status and body."""
    assert isinstance(decision, Answer), decision
    return decision.status, json.loads(decision.body)


def told(decision: Decision) -> tuple[int, str, str]:
    """As `answered`, of an OpenAI error: status, code and message."""
    status, body = answered(decision)
    return status, body["error"]["code"], body["error"]["message"]


def header(decision: Decision, name: bytes) -> bytes | None:
    """A header of an answer of ours."""
    assert isinstance(decision, Answer), decision
    return dict(decision.headers).get(name)


def host_of(decision: Decision) -> str:
    """Where it is sent."""
    return str(forwarded(decision).endpoint.address[0])
