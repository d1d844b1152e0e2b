"""Models as the API server has them, in a route table."""

from typing import Any

from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table.table import RouteTable

ARTIFACT = {
    "architecture": "llama",
    "parameters": "134.52M",
    "quantization": "Q4_1",
    "size": "92.1 MiB",
    "contextSize": 8192,
    "memoryBytes": 275144704,
    "memory": "262.4 MiB",
}


def model(name: str, namespace: str = "ml", *, created: str = "", **more: Any) -> dict[str, Any]:
    """A Model that sleeps; `more`: aliases, config, engine, artifact."""
    status = {"phase": "Idle", "engine": more.get("engine", "llama.cpp")}
    if artifact := more.get("artifact", ARTIFACT):
        status["artifact"] = artifact
    return {
        "apiVersion": "modelrunner.dev/v1alpha1",
        "kind": "Model",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "resourceVersion": "1",
            "creationTimestamp": created or "2026-07-01T12:00:00Z",
        },
        "spec": {"aliases": more.get("aliases", []), "config": more.get("config", {})},
        "status": status,
    }


def table(*models: dict[str, Any]) -> RouteTable:
    """A table of these."""
    found = RouteTable()
    found.replace_models(models)
    return found


class Runners:
    """Tell of a template, as often as they are asked."""

    def __init__(self, template: str | None = "") -> None:
        self.text = template
        self.asked: list[tuple[str, str]] = []

    async def template(self, endpoint: Endpoint, name: str) -> str | None:
        """Part of templates.Runners."""
        self.asked.append((endpoint.name, name))
        return self.text
