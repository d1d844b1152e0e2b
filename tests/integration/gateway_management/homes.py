"""A namespace with a gateway, and the operator's part in it by hand: there are no nodes here."""

import html
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx

from tests.support import manifests
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi, Object, Refused

MODEL = (manifests.API_VERSION, "Model")
DIGEST = "sha256:" + "5a" * 32
SIZE = 96_574_464
ARTIFACT = {
    "digest": DIGEST,
    "format": "gguf",
    "architecture": "llama",
    "sizeBytes": SIZE,
    "size": "92.1 MiB",
}
REFRESH = "modelrunner.dev/refresh"
KEY = "1" * 16
Line = dict[str, Any]


class GoneError(AssertionError):
    """There is no such Model, or no more."""


@dataclass(slots=True)
class Home:
    """One namespace and its gateway."""

    api: KubeApi
    namespace: str
    gateway: GatewayProcess

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to the gateway."""
        url = f"{self.gateway.url}{path}"
        return httpx.request(method, url, trust_env=False, timeout=60, **more)

    def lines(self, body: Object, **headers: str) -> "Lines":
        """POST /models/create, whose lines are read one by one. A context manager."""
        return Lines(f"{self.gateway.url}/models/create", body, headers)

    def create(self, reference: str) -> Line:
        """Pull a model that the operator gets at once; the last line."""
        with self.lines({"from": reference}) as lines:
            lines.until("progress")
            (name,) = (
                one["metadata"]["name"]
                for one in self.models()
                if "labels" in one["metadata"] and "conditions" not in one.get("status", {})
            )
            self.cached(name)
            return lines.until("success", "error")

    def models(self) -> list[Object]:
        """The Models that there are."""
        return self.api.list(*MODEL, self.namespace)

    def model(self, name: str) -> Object:
        """A Model as it is now."""
        found = self.api.get(*MODEL, name, self.namespace)
        if found is None:
            raise GoneError(name)
        return found

    def by_hand(self, name: str, *, manager: str = "kubectl", **spec: Any) -> Object:
        """A Model that somebody applies."""
        source = {"http": {"url": f"https://models.example.com/{name}.gguf"}}
        body = {
            "apiVersion": MODEL[0],
            "kind": MODEL[1],
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"source": source, **spec},
        }
        made = self.api.apply(body, manager=manager)
        self.known(name)
        return made

    def known(self, name: str) -> None:
        """Wait until the gateway knows a Model."""
        path = f"/models/{self.namespace}/{name}"
        self.gateway.wait(name, lambda: self.ask("GET", path).status_code == 200)

    def told(self, name: str, *conditions: Object, **status: Any) -> None:
        """The operator tells of a Model."""
        generation = self.model(name)["metadata"]["generation"]
        full = [
            {
                **one,
                "observedGeneration": generation,
                "lastTransitionTime": "2026-07-01T00:00:00Z",
            }
            for one in conditions
        ]
        self.merge(name, conditions=full, engine="llama.cpp", **status)

    def pulling(self, name: str, done: int) -> None:
        """So many bytes are there."""
        message = f"pulling the weights of {name}"
        self.told(
            name,
            {"type": "Ready", "status": "False", "reason": "Pulling", "message": message},
            {"type": "Cached", "status": "False", "reason": "Pulling", "message": message},
            {"type": "Reconciling", "status": "True", "reason": "Pulling", "message": message},
            artifact=ARTIFACT,
            download={"completedBytes": done, "totalBytes": SIZE, "percent": done * 100 // SIZE},
        )

    def cached(self, name: str) -> None:
        """The weights are there; no runner is yet."""
        message = "the weights are there"
        self.told(
            name,
            {"type": "Ready", "status": "False", "reason": "Starting", "message": "it starts"},
            {"type": "Cached", "status": "True", "reason": "Cached", "message": message},
            {"type": "Reconciling", "status": "True", "reason": "Starting", "message": message},
            artifact=ARTIFACT,
            download=None,
        )

    def asked(self, name: str) -> str:
        """The request to look whether a Model's source has moved, "" for none that waits."""
        found = self.model(name)
        request: str = found["metadata"].get("annotations", {}).get(REFRESH, "")
        source = found.get("status", {}).get("source", {})
        return "" if request == source.get("handledRefresh") else request

    def looked(self, name: str, **source: Any) -> None:
        """The operator answers the request to look that comes."""
        self.gateway.wait(f"a request to look at {name}", lambda: self.asked(name))
        told = {"sourceKey": KEY, "key": KEY, "handledRefresh": self.asked(name)}
        self.merge(name, source={**told, "message": None, "failures": None, **source})

    def merge(self, name: str, **status: Any) -> None:
        """The operator tells this beside what it has told."""
        body = {
            "apiVersion": MODEL[0],
            "kind": MODEL[1],
            "metadata": {"name": name, "namespace": self.namespace},
            "status": status,
        }
        try:
            self.api.merge(body, subresource="status")
        except Refused as refused:
            if refused.status == 404:
                raise GoneError(name) from refused
            raise

    def failed(self, name: str, reason: str, message: str, *, for_good: bool = True) -> None:
        """The operator cannot pull: for good, or it tries again."""
        unrest = "Stalled" if for_good else "Reconciling"
        said = {"reason": reason, "message": message}
        self.told(
            name,
            {"type": "Ready", "status": "False", **said},
            {"type": "Cached", "status": "False", **said},
            {"type": unrest, "status": "True", **said},
        )

    def clear(self) -> None:
        """Remove all Models, and wait until the gateway has seen it."""
        for one in self.models():
            self.api.delete(*MODEL, one["metadata"]["name"], self.namespace)
        self.gateway.wait("no models", lambda: self.gateway.metric("models") == 0)


class Lines:
    """The lines of a stream of Docker Model Runner's. A context manager."""

    def __init__(self, url: str, body: Object, headers: dict[str, str]) -> None:
        self._client = httpx.Client(trust_env=False, timeout=60)
        self._request = self._client.build_request("POST", url, json=body, headers=headers)
        # httpx always sends one; the command line of Docker Model Runner does not.
        if "Accept" not in headers:
            del self._request.headers["Accept"]
        self.seen: list[Line] = []

    def __enter__(self) -> Self:
        self.answer = self._client.send(self._request, stream=True)
        self._lines: Iterator[str] = self.answer.iter_lines()
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._client.close()

    def next(self) -> Line:
        """The next line."""
        text = next(self._lines)
        found: Line = json.loads(html.unescape(text))
        self.seen.append(found)
        return found

    def until(self, *kinds: str, when: Callable[[Line], bool] = lambda _: True) -> Line:
        """The next line of these types for which `when` holds; heartbeats come in between."""
        while True:
            found = self.next()
            if found["type"] in kinds and when(found):
                return found

    def rest(self) -> list[Line]:
        """What comes till the end."""
        return [json.loads(html.unescape(text)) for text in self._lines]
