"""Our gateway: the real process against a real API server, whose objects are written by hand.

API keys and metrics are on, as in production. There is no kubelet and no operator: the one Model
has an EndpointSlice that names the fake model server, and a Deployment that nobody acts on.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from modelrunner.gateway.auth.key import LABEL as KEY_LABEL
from modelrunner.gateway.table.slices import SERVICE_LABEL
from modelrunner_protocol.wire import PORT_NAME
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.perf.load.requests import MODEL
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started
from tests.support import manifests
from tests.support.kubeapi import KubeApi, Object
from tests.support.planes import install_kinds

NAMESPACE: Final = "bench"
_NAME: Final = "gateway"
_LABELS: Final = {MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: MODEL, SERVICE_LABEL: MODEL}
_DIGEST: Final = "sha256:" + "0" * 64


@dataclass(frozen=True)
class World:
    """What the gateway sees of Kubernetes."""

    api: KubeApi
    kubeconfig: Path

    @classmethod
    @contextmanager
    def with_key(cls, key: str, progress: Progress) -> Iterator["World"]:
        """An API server with one awake Model without endpoints, and one API key."""
        with (
            ControlPlane(controllers=False, progress=progress) as plane,
            KubeApi.connect(plane.kubeconfig) as api,
        ):
            install_kinds(api)
            api.apply(manifests.namespace(NAMESPACE))
            api.apply(_secret(key))
            source = {"http": {"url": "http://files.test/tiny.gguf"}}
            api.apply(manifests.model(NAMESPACE, MODEL, source))
            api.apply(_deployment())
            yield cls(api, plane.kubeconfig)

    def hold_up_to(self, count: int, seconds: int) -> None:
        """The Model's status as the operator writes it, with these bounds of waiting."""
        moment = "2026-01-01T00:00:00Z"
        condition = {"reason": "Serving", "message": "", "lastTransitionTime": moment}
        status = {
            "phase": "Ready",
            "engine": "llama.cpp",
            "conditions": [{"type": "Ready", "status": "True", **condition}],
            "activation": {"maxHeld": count, "timeoutSeconds": seconds},
        }
        model = manifests.model(NAMESPACE, MODEL, {})
        del model["spec"]
        self.api.merge(model | {"status": status}, subresource="status")

    def serve(self, address: tuple[str, int]) -> None:
        """Let the Model have one ready endpoint."""
        self.api.apply(_slice(address))

    def serve_nothing(self) -> None:
        """Let the Model have no endpoint."""
        self.api.delete("discovery.k8s.io/v1", "EndpointSlice", MODEL, NAMESPACE)

    @contextmanager
    def gateway(self, scene: Scene, **settings: str) -> Iterator[Proxy]:
        """The process; the Model must be served, for it has answered a request on return."""
        port, admin = free_port(), free_port()
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "POD_NAMESPACE": NAMESPACE,
            "MODELRUNNER_WATCH_NAMESPACES": NAMESPACE,
            "MODELRUNNER_GATEWAY_HTTP_HOST": "127.0.0.1",
            "MODELRUNNER_GATEWAY_HTTP_PORT": str(port),
            "MODELRUNNER_GATEWAY_ADMIN_HOST": "127.0.0.1",
            "MODELRUNNER_GATEWAY_ADMIN_PORT": str(admin),
            "MODELRUNNER_GATEWAY_API_KEYS": "true",
            **settings,
        }
        command = (sys.executable, "-m", "modelrunner", "gateway")
        with started(scene, _NAME, "this tree", port, command, environment) as proxy:
            yield proxy


class Gateway(Side):
    """Ours."""

    name: ClassVar[str] = _NAME

    def install(self, progress: Progress) -> None:
        """It is here."""

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """With its default settings and API keys on."""
        if scene.backend[0].startswith("127."):
            raise ClusterError("the gateway's backend must not be at 127.0.0.0/8: no pod is")
        with World.with_key(scene.key, scene.progress) as world:
            world.hold_up_to(100, 300)
            world.serve(scene.backend)
            with world.gateway(scene) as proxy:
                yield proxy


def _secret(key: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bench", "namespace": NAMESPACE, "labels": {KEY_LABEL: "true"}},
        "stringData": {"sha256": hashlib.sha256(key.encode()).hexdigest()},
    }


def _slice(address: tuple[str, int]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": MODEL, "namespace": NAMESPACE, "labels": _LABELS},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address[0]], "conditions": {"ready": True}}],
        "ports": [{"name": PORT_NAME, "port": address[1], "protocol": "TCP"}],
    }


def _deployment() -> Object:
    labels = {MODEL_LABEL: MODEL}
    container = {"name": "runner", "image": f"runner.test/runner@{_DIGEST}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": MODEL, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    }
