"""A workbench: reconcilers, a cache that is listed instead of watched, and hands on pods."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter

from modelrunner.domain.effective import OperatorDefaults
from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL
from modelrunner.kube.client import KubeClient
from modelrunner.kube.collection import Collection, CollectionSource
from modelrunner.kube.events import EventRecorder
from modelrunner.kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    JOBS,
    MODEL_RUNNERS,
    MODELS,
    PODS,
    SERVICES,
)
from modelrunner.kube.store import Store
from modelrunner.reconcilers.model import ModelReconciler
from modelrunner.reconcilers.model_runner import ModelRunnerReconciler
from modelrunner.reconcilers.probe import Door, DoorAnswer, RunnerProbe
from modelrunner_protocol.codec import encode
from modelrunner_protocol.runner import Closing, RunnerStatus
from modelrunner_protocol.wire import Outcome, Progress
from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi, Object
from tests.support.pod_statuses import ARTIFACT, ended, running

WRITES = Counter("writes", "API writes.", ["verb", "resource"], registry=CollectorRegistry())
API = "modelrunner.dev/v1alpha1"
# Seconds that a test waits for controllers; the garbage collector learns of new kinds, and of
# kinds that have gone, every half minute only.
PATIENCE = 180.0
DEFAULTS = OperatorDefaults(runner_image="localhost/model-runner:test", image_pull_policy="Never")


class ScriptedProbe(RunnerProbe):
    """Answers what a test has put into it."""

    def __init__(self) -> None:
        self.status: RunnerStatus | None = None
        self.pull: Progress | None = None

    async def runner_status(self, ip: str) -> RunnerStatus | None:
        """See RunnerProbe."""
        return self.status

    async def progress(self, ip: str) -> Progress | None:
        """See RunnerProbe."""
        return self.pull

    async def close_door(self, ip: str, closing: Closing) -> DoorAnswer:
        """See RunnerProbe."""
        return DoorAnswer(Door.MISSING)

    async def open_door(self, ip: str) -> None:
        """See RunnerProbe."""

    async def close(self) -> None:
        """See RunnerProbe."""


@dataclass
class Bench:
    """One namespace and the reconcilers over it. `offset` moves their clock; it can be stopped.

    They ask `real` where there is one, else `probe`. `steps` are the scale steps they told.
    """

    api: KubeApi
    client: KubeClient
    namespace: str
    probe: ScriptedProbe = field(default_factory=ScriptedProbe)
    store: Store = field(default_factory=Store)
    defaults: OperatorDefaults = DEFAULTS
    offset: float = 0.0
    real: RunnerProbe | None = None
    steps: list[str] = field(default_factory=list)
    _stopped: float | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, defaults: OperatorDefaults | None = None) -> None:
        """A new operator process: nothing is remembered."""
        self.defaults = defaults or self.defaults
        self.store = Store()
        recorder = EventRecorder(self.client, "modelrunner.dev/operator", "test")
        clock = self.clock
        self.models = ModelReconciler(
            self.client,
            self.store,
            recorder,
            self.real or self.probe,
            defaults=self.defaults,
            clock=clock,
            scaled=lambda direction, result: self.steps.append(f"{direction} {result}"),
        )
        self.runners = ModelRunnerReconciler(self.client, self.store, recorder, clock=clock)

    async def look(self) -> None:
        """What watches would have told."""
        for resource in (MODELS, MODEL_RUNNERS):
            await CollectionSource(
                self.client, self.store, Collection(resource, (self.namespace,))
            ).refresh()
        for resource in (DEPLOYMENTS, PODS, JOBS, CLAIMS, SERVICES):
            ours = Collection(resource, (self.namespace,), f"{MANAGED_BY_LABEL}={MANAGED_BY}")
            await CollectionSource(self.client, self.store, ours).refresh()

    async def once(self, name: str) -> float | None:
        """One reconcile of a Model; the requeue it asks for."""
        await self.look()
        return (await self.models.reconcile((self.namespace, name))).requeue_after

    async def until_still(self, name: str) -> Object:
        """Reconcile until nothing is written any more; the Model then."""
        for _ in range(12):
            before = written()
            await self.once(name)
            if written() == before:
                return self.model(name)
        raise AssertionError(f"still writing: {self.model(name)['status']}")

    def put(self, kind: str, name: str, spec: Object) -> Object:
        """Apply a Model or ModelRunner as a user would."""
        return self.api.apply(
            {
                "apiVersion": API,
                "kind": kind,
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            }
        )

    def claim(self, name: str, *modes: str) -> Object:
        """A claim that a user makes; ReadWriteOnce where nothing else is said."""
        return self.api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "accessModes": list(modes) or ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        )

    def model(self, name: str) -> Object:
        """The Model as stored."""
        return self.must(API, "Model", name)

    def must(self, api_version: str, kind: str, name: str) -> Object:
        """The object, which has to be there."""
        found = self.api.get(api_version, kind, name, self.namespace)
        assert found is not None, f"no {kind} {name}"
        return found

    def pod_of(self, component: str, *, other_than: str = "", unended: bool = False) -> Object:
        """The pod that a controller has made for a Job or Deployment, once it has.

        `unended`: not of a Job that is over, whose pods the collector has not yet taken away.
        """
        found: list[Object] = []

        def there() -> bool:
            found[:] = [
                pod
                for pod in self.api.list(
                    "v1",
                    "Pod",
                    self.namespace,
                    label_selector=f"app.kubernetes.io/component={component}",
                )
                if pod["metadata"]["name"] != other_than
                and "deletionTimestamp" not in pod["metadata"]
                and not (unended and self._over(pod))
            ]
            return bool(found)

        wait_until(f"a {component} pod", there, seconds=PATIENCE)
        return found[0]

    def _over(self, pod: Object) -> bool:
        """Whether a Job's pod has ended, or its Job is gone."""
        owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}
        living = {
            job["metadata"]["uid"]
            for job in self.api.list("batch/v1", "Job", self.namespace)
            if "deletionTimestamp" not in job["metadata"]
        }
        return pod["status"]["phase"] in {"Succeeded", "Failed"} or not owners & living

    def set_status(self, pod: Object, status: Object) -> Object:
        """Write a pod's status as the kubelet would."""
        meta = {"name": pod["metadata"]["name"], "namespace": self.namespace}
        return self.api.merge(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status},
            subresource="status",
        )

    def end_pod(self, component: str, outcome: Outcome | str, *, exit_code: int) -> Object:
        """The container of a Job's pod ends with that termination message."""
        message = outcome if isinstance(outcome, str) else encode(outcome)
        pod = self.pod_of(component, unended=True)
        return self.set_status(pod, ended(component, message, exit_code=exit_code))

    def scale(self, name: str, replicas: int) -> None:
        """What `kubectl scale` does."""
        path = self.api.path("apps/v1", "Deployment", self.namespace, name)
        body: Object = {"spec": {"replicas": replicas}}
        self.api.request("PATCH", f"{path}/scale", body, kind="application/merge-patch+json")

    def bind(self, pod: Object) -> None:
        """Give a pod a node, as a scheduler does; pods of nodes that are not there are collected."""
        node = f"{self.namespace}-node"
        self.api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        meta = {"name": pod["metadata"]["name"], "namespace": self.namespace}
        path = self.api.path("v1", "Pod", self.namespace, meta["name"])
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        self.api.request("POST", f"{path}/binding", body)

    def rolled_out(self, name: str, count: int = 1) -> None:
        """Wait until the Deployment's controller counts its pods as ready."""

        def done() -> bool:
            found = self.must("apps/v1", "Deployment", name)
            status = found.get("status") or {}
            counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            # Else it may be what its controller has said of the template before.
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            return seen and all(status.get(each, 0) == count for each in counts)

        wait_until(f"Deployment {name} rolled out", done, seconds=PATIENCE)

    def wait_for_pods(self, condition: Callable[[], bool]) -> None:
        """Wait for what the controllers do to pods."""
        wait_until("the pods", condition, seconds=PATIENCE)

    def clock(self) -> float:
        """The reconcilers' time."""
        return (self._stopped or time.time()) + self.offset

    def stop_clock(self) -> None:
        """From now on only `offset` moves the clock, however slow the machine is."""
        self._stopped = time.time()

    def make_ready(self, name: str = "m", *, address: str = "127.0.0.9", count: int = 1) -> Object:
        """The newest runner pod of a Model becomes ready, and its Deployment counts `count`."""
        pod = self.runner_pod(name)
        self.set_status(pod, running("runner", address, ready=True))
        self.rolled_out(name, count)
        return pod

    def runner_pod(self, name: str = "m") -> Object:
        """The pod of the Deployment's current template, once it is there and alone pending."""
        found: list[Object] = []

        def there() -> bool:
            found[:] = [
                pod
                for pod in self.api.list(
                    "v1",
                    "Pod",
                    self.namespace,
                    label_selector=f"modelrunner.dev/model={name},"
                    "app.kubernetes.io/component=runner",
                )
                if pod["status"]["phase"] == "Pending"
                and "deletionTimestamp" not in pod["metadata"]
            ]
            return len(found) == 1

        wait_until(f"the pending runner pod of {name}", there, seconds=PATIENCE)
        return found[0]

    async def serving(self, name: str = "m") -> Object:
        """Take a Model all the way to Ready."""
        await self.cached(name)
        self.make_ready(name)
        return await self.until_still(name)

    async def cached(self, name: str) -> None:
        """Take a Model through resolve and pull."""
        await self.until_still(name)
        self.end_pod("resolve", Outcome(artifact=ARTIFACT), exit_code=0)
        await self.until_still(name)
        self.end_pod("pull", Outcome(artifact=ARTIFACT), exit_code=0)
        await self.until_still(name)


def condition(model: Object, kind: str) -> Object | None:
    """A condition of a Model."""
    found = [one for one in model["status"]["conditions"] if one["type"] == kind]
    return found[0] if found else None


def written(verb: str = "", resource: str = "") -> float:
    """Writes sent so far, all together or of one kind."""
    return sum(
        sample.value
        for metric in WRITES.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
        and verb in {"", sample.labels["verb"]}
        and resource in {"", sample.labels["resource"]}
    )
