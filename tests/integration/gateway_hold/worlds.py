"""The gateway's whole data path in one loop: a real API server before it, runners behind it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from modelrunner.domain.conditions import merge, ready
from modelrunner.gateway.auth.limits import Limits
from modelrunner.gateway.hold.holds import Holds
from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.hold.runners import HttpRunners
from modelrunner.gateway.hold.scaling import DeploymentScaler, Tried
from modelrunner.gateway.http.front import Front
from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.routing.router import Router
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.meters import Meters
from modelrunner.kube.client import KubeClient
from modelrunner_protocol.reasons import Reason
from tests.integration.gateway_table.worlds import World as Fed
from tests.integration.gateway_table.worlds import fed
from tests.support.kubeapi import KubeApi, Object
from tests.support.table_objects import endpoint

DEPLOYMENT = ("apps/v1", "Deployment")
ASLEEP = ready(Reason.SCALED_TO_ZERO, "")
AWAKE = ready(Reason.READY, "")


class CountingScaler(DeploymentScaler):
    """The real one; `tried` is how each of its tries ended."""

    def __init__(self, client: KubeClient) -> None:
        super().__init__(client)
        self.tried: list[Tried] = []

    async def wake(self, namespace: str, name: str) -> Tried:
        """One try."""
        self.tried.append(await super().wake(namespace, name))
        return self.tried[-1]


@dataclass
class World:
    """One Model called `smol` in a namespace of its own, and one gateway."""

    api: KubeApi
    fed: Fed
    namespace: str
    scaler: CountingScaler
    holds: Holds
    meters: Meters
    client: ClientSession
    told: Object = field(default_factory=dict)

    def put_model(self, *verdicts: Any, phase: str = "Idle", **activation: Any) -> None:
        """The Model, with this status; `activation` as in its status."""
        self.fed.put_model(self.namespace, "smol")
        self.told = {
            "observedGeneration": 1,
            "phase": phase,
            "engine": "llama.cpp",
            "conditions": merge((), verdicts or (ASLEEP,), generation=1, now=time.time()),
            "activation": {"maxHeld": 1000, "timeoutSeconds": 240, **activation},
        }
        self.fed.put_status(self.namespace, "smol", self.told)

    def put_deployment(self, replicas: int = 0) -> None:
        """The Model's Deployment; nothing runs its pods."""
        labels = {"app": "smol"}
        container = {"name": "runner", "image": "registry.invalid/runner"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        self.api.create(
            {
                "apiVersion": DEPLOYMENT[0],
                "kind": DEPLOYMENT[1],
                "metadata": {"name": "smol", "namespace": self.namespace},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": template,
                },
            }
        )

    def scale(self, replicas: int) -> None:
        """Set `replicas` as the operator does."""
        self.api.merge(
            {
                "apiVersion": DEPLOYMENT[0],
                "kind": DEPLOYMENT[1],
                "metadata": {"name": "smol", "namespace": self.namespace},
                "spec": {"replicas": replicas},
            }
        )

    def replicas(self) -> int:
        """Pods that the Deployment wants."""
        found = self.api.get(*DEPLOYMENT, "smol", self.namespace)
        assert found is not None
        return int(found["spec"]["replicas"])

    def put_pods(self, port: int, *endpoints: Object) -> None:
        """The EndpointSlice of the Model's Service."""
        self.fed.put_slice(f"{self.namespace}/smol", *endpoints, port=port)

    def put_pod(self, address: str, port: int, *, is_ready: bool = True) -> None:
        """As `put_pods`, of one pod."""
        self.put_pods(port, endpoint(address, ready=is_ready, pod=address))

    async def entry(self) -> ModelEntry:
        """The Model, as soon as the gateway knows it with its last status."""
        entry = await self.fed.find(f"{self.namespace}/smol")
        await self.until("its status", lambda: entry.status == self.told)
        return entry

    async def until_held(self, number: int) -> None:
        """Wait until so many requests wait."""
        await self.fed.until(f"{number} held", lambda: self.holds.held == number)

    async def until(self, what: str, condition: Any) -> None:
        """Wait for something."""
        await self.fed.until(what, condition)

    async def chat(self, **body: Any) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers and JSON of a chat."""
        path = "/v1/chat/completions"
        asked = {"model": f"{self.namespace}/smol", "messages": [], **body}
        async with self.client.post(path, json=asked) as answer:
            return answer.status, answer.headers, await answer.json()

    def ask(self, **body: Any) -> "asyncio.Task[tuple[int, Mapping[str, str], Any]]":
        """A client that asks and waits."""
        return asyncio.create_task(self.chat(**body))

    async def impatient(self, *verdicts: Any, phase: str = "Idle", seconds: int = 1) -> None:
        """From now on the Model's clients wait for so long; those that wait already go on.

        Who has to be told what was found out comes after it was, and need not wait for it.
        """
        self.put_model(*verdicts, phase=phase, timeoutSeconds=seconds)
        await self.entry()

    @property
    def attempts(self) -> Counter[str]:
        """How often scaling ended in which way."""
        return Counter(tried.attempt.value for tried in self.scaler.tried)


@asynccontextmanager
async def gateway(
    api: KubeApi, kubeconfig: Path, namespace: str, *, scaler: Path | None = None
) -> AsyncIterator[World]:
    """A gateway for one namespace; `scaler` is another kubeconfig for waking."""
    async with AsyncExitStack() as stack:
        table = await stack.enter_async_context(fed(api, kubeconfig, namespace))
        patching = await stack.enter_async_context(
            await KubeClient.connected(kubeconfig=str(scaler or kubeconfig), timeout=30)
        )
        runners = await stack.enter_async_context(HttpRunners("gateway-1"))
        meters, rests, scaling = Meters(), Rests(), CountingScaler(patching)
        holds = Holds(
            table.table,
            runners=runners,
            scaler=scaling,
            meters=meters,
            rests=rests,
            max_bytes=64 << 20,
        )
        stack.push_async_callback(holds.close)
        router = Router(
            table.table,
            holds=holds,
            rests=rests,
            limits=Limits(),
            meters=meters,
            back_office=Endpoint("back office", "/nowhere"),
        )
        front = Front(router)
        stack.push_async_callback(front.drain, 0)
        port = await front.listen("127.0.0.1", 0)
        client = await stack.enter_async_context(
            ClientSession(
                f"http://127.0.0.1:{port}",
                connector=TCPConnector(limit=0),
                timeout=ClientTimeout(total=600),
            )
        )
        yield World(api, table, namespace, scaling, holds, meters, client)


@dataclass
class Pod:
    """A small runner: ready or not, and what it was asked. Answers chats when `go` is set.

    `looks` counts who asked whether it is ready; a gateway asks again when it was answered.
    """

    slots: int = 2
    ready: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    users: list[Any] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    looks: int = 0
    working: int = 0
    most: int = 0
    port: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: web.ServerRunner | None = None

    async def listen(self, address: str) -> Self:
        """Begin to accept connections at an address; the port is `port`."""
        self._server = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await self._server.setup()
        await web.TCPSite(self._server, address, self.port).start()
        self.port = self._server.addresses[0][1]
        return self

    async def end(self) -> None:
        """End all connections, and accept no more."""
        if self._server is not None:
            await self._server.cleanup()
            self._server = None

    def become(self, *, is_ready: bool) -> None:
        """Ready from now on, or not."""
        self.ready = is_ready
        self._changed.set()
        self._changed = asyncio.Event()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/readyz":
            return await self._readyz(float(request.query.get("wait", "0")))
        if request.path == "/held":
            self.held.append((await request.json())["held"])
            return web.Response(status=204)
        asked = await request.json()
        self.users.append(asked.get("user"))
        self.working += 1
        self.most = max(self.most, self.working)
        try:
            await self.go.wait()
        finally:
            self.working -= 1
        return web.json_response({"id": "x", "choices": [], "usage": {"prompt_tokens": 1}})

    async def _readyz(self, wait: float) -> web.Response:
        self.looks += 1
        try:
            async with asyncio.timeout(wait):
                while not self.ready:
                    await self._changed.wait()
        except TimeoutError:
            pass
        told = {"state": "loading", "reason": "Starting", "message": "it reads its weights"}
        return web.json_response({**told, "slots": self.slots}, status=200 if self.ready else 503)
