"""The product on a real cluster: what the e2e tests, the demo and the benchmarks stand on."""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from tests.cluster.progress import Progress
from tests.cluster.providers import Provider, choose
from tests.cluster.settings import ROOT
from tests.cluster.waiting import wait_until
from tests.images.build import Images, ensure_images
from tests.support import manifests
from tests.support.engine import ensure_engine
from tests.support.kubeapi import KubeApi, Object
from tests.support.served_files import ServedFiles

SYSTEM_NAMESPACE: Final = "model-runner-system"
RELEASE: Final = "model-runner-operator"
CHART: Final = ROOT / "charts" / RELEASE
T = TypeVar("T")

_KINDS: Final = {
    "models": (manifests.API_VERSION, "Model"),
    "modelrunners": (manifests.API_VERSION, "ModelRunner"),
    "namespaces": ("v1", "Namespace"),
    "nodes": ("v1", "Node"),
    "pods": ("v1", "Pod"),
    "services": ("v1", "Service"),
    "configmaps": ("v1", "ConfigMap"),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "persistentvolumes": ("v1", "PersistentVolume"),
    "deployments": ("apps/v1", "Deployment"),
    "jobs": ("batch/v1", "Job"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "events": ("events.k8s.io/v1", "Event"),
    "servicemonitors": ("monitoring.coreos.com/v1", "ServiceMonitor"),
    "customresourcedefinitions": ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
}


@dataclass
class Stack:
    """A cluster with the operator installed.

    `files` serves `weights` to pods; `run_id` keeps the names of one run apart from another's.
    """

    provider: Provider
    api: KubeApi
    images: Images
    weights: Path
    files: ServedFiles
    progress: Progress
    run_id: str = field(default_factory=lambda: secrets.token_hex(3))

    @cached_property
    def weights_sha256(self) -> str:
        """Hex digest of the model file."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def http_source(self, path: str | None = None, *, sha256: str | None = None) -> Object:
        """A Model's source for a file of the file server, by default the real model."""
        url = f"http://{self.provider.host_address}:{self.files.port}/{path or self.weights.name}"
        return {"http": {"url": url, **({"sha256": sha256} if sha256 else {})}}

    def apply(self, *bodies: Object) -> None:
        """Server-side apply as a user would."""
        for body in bodies:
            self.api.apply(body)

    def get(self, plural: str, namespace: str, name: str) -> Object | None:
        """An object, or None."""
        return self.api.get(*_KINDS[plural], name, namespace)

    def objects(self, plural: str, namespace: str = "", selector: str = "") -> list[Object]:
        """Objects of a namespace, or of all."""
        return self.api.list(*_KINDS[plural], namespace, label_selector=selector)

    def delete(self, plural: str, namespace: str, name: str, **options: str) -> None:
        """Delete an object if it is there."""
        self.api.delete(*_KINDS[plural], name, namespace, **options)

    def runner_pods(self, namespace: str, model: str) -> list[Object]:
        """The pods that serve a model, those that are going away left out."""
        selector = f"app.kubernetes.io/component=runner,modelrunner.dev/model={model}"
        found = self.objects("pods", namespace, selector)
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def wait(self, what: str, check: Callable[[], bool], seconds: float = 240) -> None:
        """Return as soon as `check` holds."""
        wait_until(what, check, seconds=seconds, interval=0.1)

    def wait_for(
        self,
        namespace: str,
        name: str,
        *,
        ready: bool = False,
        reason: str = "",
        words: str = "",
        settled: bool = False,
        kind: str = "Ready",
        seconds: float = 240,
    ) -> Object:
        """The Model, once the condition `kind` is True (`ready`) or carries `reason` and `words`.

        `settled`: and once nothing goes on, or is wrong, beside it.

        Raises:
            ClusterError: not in time; the message holds the Model's status.
        """
        seen: Object = {}

        def holds() -> bool:
            seen.update(self.get("models", namespace, name) or {})
            generation = seen.get("status", {}).get("observedGeneration")
            if not seen or generation != seen["metadata"]["generation"]:
                return False
            if settled and any(condition(seen, unrest) for unrest in ("Reconciling", "Stalled")):
                return False
            one = condition(seen, kind)
            if reason:
                return bool(one.get("reason") == reason and words in one["message"])
            return one.get("status") == "True"

        try:
            self.wait(f"{name}: {kind} {reason or 'True'}", holds, seconds)
        except Exception as error:
            error.add_note(f"status: {seen.get('status')}")
            raise
        return seen

    @contextmanager
    def client(self, namespace: str, service: str) -> Iterator[httpx.Client]:
        """An HTTP client for a Service, from this machine."""
        with (
            self.address(namespace, service) as url,
            httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
        ):
            yield client

    @contextmanager
    def address(self, namespace: str, service: str) -> Iterator[str]:
        """A URL of a Service: its cluster IP where this machine routes there, else forwarded."""
        if self.provider.routes_pods:
            found = self.get("services", namespace, service)
            if found is None:
                raise LookupError(f"no Service {service} in {namespace}")
            address = found["spec"]["clusterIP"]
            # The node is told of a ready pod at its own time, which may be after we were.
            self.wait(f"a way to {service}", lambda: _listens(address))
            yield f"http://{address}"
            return
        command = [*self._kubectl, "port-forward", "-n", namespace, f"service/{service}", ":80"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
            try:
                line = forward.stdout.readline() if forward.stdout else ""
                yield "http://" + line.split()[2]
            finally:
                forward.terminate()

    def seed_claim(self, namespace: str, name: str, path: str) -> None:
        """A claim of that name whose volume holds the real model at `path`."""
        self.apply(manifests.claim(namespace, name))
        url = self.http_source()["http"]["url"]
        script = (
            "import os,sys,urllib.request as r;"
            "os.makedirs(os.path.dirname(sys.argv[2]),exist_ok=True);r.urlretrieve(*sys.argv[1:])"
        )
        command = ["python3", "-c", script, url, f"/seed/{path}"]
        self.run_pod(
            manifests.pod(namespace, f"seed-{name}", self.images.runner, command, {"/seed": name})
        )

    def run_pod(self, body: Object, seconds: float = 240) -> None:
        """Run a pod to its successful end and remove it."""
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        self.apply(body)

        def phase() -> Any:
            found = self.get("pods", namespace, name) or {}
            return found.get("status", {}).get("phase")

        self.wait(f"pod {name} ended", lambda: phase() in {"Succeeded", "Failed"}, seconds)
        if phase() != "Succeeded":
            raise RuntimeError(self.kubectl("logs", "-n", namespace, name))
        self.delete("pods", namespace, name)

    @property
    def _kubectl(self) -> list[str]:
        return [self.program("kubectl"), f"--kubeconfig={self.provider.kubeconfig}"]

    def program(self, name: str) -> str:
        """Path of kubectl or helm: the cluster's own build, else the user's."""
        path = os.pathsep.join([*map(str, self.provider.program_folders), os.environ["PATH"]])
        return shutil.which(name, path=path) or name

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints."""
        return _run([*self._kubectl, *arguments])

    def helm(self, *arguments: str) -> str:
        """What helm prints."""
        return _run([self.program("helm"), f"--kubeconfig={self.provider.kubeconfig}", *arguments])

    def install(self, *settings: str, namespace: str = SYSTEM_NAMESPACE) -> None:
        """Install or upgrade the chart with this run's images; `settings` are `--set` words."""
        operator, _, tag = self.images.operator.rpartition(":")
        values = (
            f"image.repository={operator}",
            f"image.tag={tag}",
            f"runner.image={self.images.runner}",
            *self._node_ports,
            *settings,
        )
        words = [word for value in values for word in ("--set", value)]
        target = ("-n", namespace, "--create-namespace")
        command = ("upgrade", "--install", RELEASE, str(CHART), *target, *words)
        with self.progress.during("installing the chart", lambda: self._pods_in_words(namespace)):
            try:
                self.helm(*command, "--wait", "--timeout=240s")
            except RuntimeError as error:
                error.add_note(self._pods_in_words(namespace))
                raise
            # A former pod that is on its way out may still get a request.
            self.wait("an end of the former pods", lambda: self._rolled_out(namespace))

    def _rolled_out(self, namespace: str) -> bool:
        """Whether all pods there are those that the Deployments want now."""
        pods = self.objects("pods", namespace)
        return not any("deletionTimestamp" in one["metadata"] for one in pods) and all(
            one["metadata"]["generation"] == one["status"].get("observedGeneration")
            and one["spec"]["replicas"]
            == one["status"].get("replicas", 0)
            == one["status"].get("updatedReplicas", 0)
            == one["status"].get("availableReplicas", 0)
            for one in self.objects("deployments", namespace)
        )

    @property
    def _node_ports(self) -> list[str]:
        """Settings that make the gateway's Service reachable where pods' addresses are not."""
        return [
            word
            for port in self.provider.published_ports
            for word in ("gateway.service.type=NodePort", f"gateway.service.nodePort={port}")
        ]

    def _pods_in_words(self, namespace: str) -> str:
        """Each pod's name and what its containers wait for or died of."""
        lines = []
        for pod in self.objects("pods", namespace):
            states = [one["state"] for one in pod["status"].get("containerStatuses", [])]
            words = [
                next(iter(state.values())).get("reason") or next(iter(state)) for state in states
            ]
            lines.append(f"{pod['metadata']['name']} {', '.join(words) or pod['status']['phase']}")
        return "; ".join(lines)


def condition(body: Object, kind: str) -> Object:
    """The condition of that type, or an empty object."""
    found: Sequence[Object] = body.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), {})


@contextmanager
def connect(progress: Progress) -> Iterator[Stack]:
    """The cluster, brought up with both images on its nodes; nothing is installed yet."""
    provider = choose()
    provider.up(progress)
    images = ensure_images(progress)
    provider.load_images(images.archives, progress)
    weights = ensure_engine(progress).model
    with (
        KubeApi.connect(provider.kubeconfig) as api,
        ServedFiles(weights, host=provider.host_address) as files,
    ):
        yield Stack(provider, api, images, weights, files, progress)


@contextmanager
def bring_up(progress: Progress) -> Iterator[Stack]:
    """`connect`, and the chart installed with its defaults."""
    with connect(progress) as stack:
        stack.install()
        progress.say("the operator runs")
        yield stack


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address, 80), timeout=10).close()
    except OSError:
        return False
    return True


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return done.stdout
