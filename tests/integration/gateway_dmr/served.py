"""Models that are pulled through a gateway and have ready runners, and the operator's part in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import httpx

from modelrunner_protocol.wire import Mode
from tests.integration.gateway.worlds import ARTIFACT, READY, World
from tests.integration.gateway_management.homes import DIGEST, SIZE, GoneError, Home
from tests.support.kubeapi import Object
from tests.support.runner_process import RunnerProcess

EMBEDDER: Final = "ai/embeddinggemma"
RANKER: Final = "ai/ranker"
MODES: Final = {"ai/smollm2": Mode.COMPLETION, EMBEDDER: Mode.EMBEDDING, RANKER: Mode.RERANKING}
_NOWHERE: Final = ("127.0.0.1:9/", "none")


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway, the namespace of its models, and their runners by reference."""

    home: Home
    world: World
    start: Callable[[str], RunnerProcess]
    runners: dict[str, RunnerProcess] = field(default_factory=dict)

    @property
    def http(self) -> httpx.Client:
        """A client of its own for each test."""
        return httpx.Client(base_url=self.home.gateway.url, timeout=120, trust_env=False)

    def pull(self, reference: str) -> None:
        """Pull a model, say what it is for, and tell of its pod."""
        name, mode = reference.removeprefix("ai/"), MODES[reference]
        self.home.create(reference)
        if mode is not Mode.COMPLETION:
            body = {"model": reference, "mode": mode}
            assert self.home.ask("POST", "/engines/_configure", json=body).status_code == 202
        # Equal weights would be one model in Docker Model Runner's eyes.
        digest = DIGEST[:-1] + str(list(MODES).index(reference))
        told = {"digest": digest, "sizeBytes": SIZE, **ARTIFACT}
        self.home.told(name, READY, artifact=told, phase="Ready", replicas=1)
        self.runners[reference] = self.start(reference)
        self.world.endpoint(name, self.runners[reference].port)
        # Models and their pods are watched each by itself.
        self.home.gateway.wait(f"{name} as told", lambda: self._identity(reference) == digest)
        self.home.gateway.wait(f"a runner of {name}", lambda: name in self._running())

    def _identity(self, reference: str) -> object:
        return self.home.ask("GET", f"/models/{reference}").json()["id"]

    def _running(self) -> list[str]:
        return [one["model_name"] for one in self.home.ask("GET", "/engines/ps").json()]

    @contextmanager
    def operator(self) -> Iterator[None]:
        """While inside, what is pulled comes at once, or not at all where nothing is."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(0.05):
                for model in self.home.models():
                    # Whoever asks for a Model may delete it before we have come to it.
                    with suppress(GoneError):
                        self._reconciled(model)

        working = threading.Thread(target=work)
        working.start()
        try:
            yield
        finally:
            over.set()
            working.join()

    def _reconciled(self, model: Object) -> None:
        name = model["metadata"]["name"]
        if "conditions" not in model.get("status", {}):
            self._pulled(name, str(model["spec"]["source"]))
        elif self.home.asked(name):
            self.home.looked(name)

    def _pulled(self, name: str, source: str) -> None:
        if any(word in source for word in _NOWHERE):
            self.home.failed(name, "PullFailed", f"there is nothing to pull for {name}")
        else:
            self.home.cached(name)
