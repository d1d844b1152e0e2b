"""What a podTemplate may not do: be no pod template, or take away what the runner stands on."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelrunner.domain.naming import RESERVED_PREFIXES, RUNNER_CONTAINER
from modelrunner_protocol.wire import (
    CACHE_MOUNT,
    DRAFT_MOUNT,
    PORT,
    PORT_NAME,
    PULL_CONFIG_VARIABLE,
    RUN_CONFIG_VARIABLE,
)

RESERVED_MOUNTS: Final = frozenset({CACHE_MOUNT, DRAFT_MOUNT, "/tmp"})  # noqa: S108 - the mount path of a volume
RESERVED_VOLUMES: Final = frozenset({"cache", "draft", "tmp", "shm"})
RESERVED_ENV: Final = frozenset({RUN_CONFIG_VARIABLE, PULL_CONFIG_VARIABLE, "TERMINATION_LOG"})

# Lists of a PodSpec whose items are told apart by a field, and that field.
_POD_LISTS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "tolerations": "",
    "topologySpreadConstraints": "",
    "resourceClaims": "name",
}
_CONTAINER_LISTS: Final = {
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "envFrom": "",
    "volumeDevices": "devicePath",
}
_POD_OBJECTS: Final = ("securityContext", "affinity", "dnsConfig", "nodeSelector", "overhead")
_CONTAINER_OBJECTS: Final = (
    "securityContext",
    "resources",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
)


def faults(pod_template: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is wrong, each in a sentence with its path."""
    yield from _metadata_faults(pod_template.get("metadata"))
    spec = pod_template.get("spec")
    if spec is None:
        return
    if not isinstance(spec, Mapping):
        yield "spec.podTemplate.spec has to be an object with the fields of a PodSpec"
        return
    path = "spec.podTemplate.spec"
    yield from _shape_faults(spec, path, _POD_LISTS, _POD_OBJECTS)
    for volume in _objects(spec.get("volumes")):
        if volume.get("name") in RESERVED_VOLUMES:
            yield f"{path}.volumes: the volume {volume['name']} is the runner's own: use another name"
    if spec.get("restartPolicy") not in {None, "Always"}:
        yield f"{path}.restartPolicy: runner pods are always restarted: remove it"
    for kind in ("initContainers", "containers"):
        for container in _objects(spec.get(kind)):
            yield from _container_faults(container, kind, f"{path}.{kind}")


def _metadata_faults(metadata: Any) -> Iterator[str]:
    for kind in ("labels", "annotations"):
        names = metadata.get(kind) if isinstance(metadata, Mapping) else None
        for name in names or ():
            if str(name).startswith(RESERVED_PREFIXES):
                yield f"spec.podTemplate.metadata.{kind}: {name} is the operator's own: remove it"


def _container_faults(container: Mapping[str, Any], kind: str, path: str) -> Iterator[str]:
    name = container.get("name")
    path = f"{path}[{name}]"
    yield from _shape_faults(container, path, _CONTAINER_LISTS, _CONTAINER_OBJECTS)
    if name != RUNNER_CONTAINER:
        return
    if kind == "initContainers":
        yield f"{path}: the name {RUNNER_CONTAINER} belongs to the main container: use another"
        return
    for variable in _objects(container.get("env")):
        if variable.get("name") in RESERVED_ENV:
            yield f"{path}.env: {variable['name']} belongs to the operator: remove it"
    for mount in _objects(container.get("volumeMounts")):
        if str(mount.get("mountPath")).rstrip("/") in RESERVED_MOUNTS:
            yield f"{path}.volumeMounts: {mount['mountPath']} is the runner's own: mount it elsewhere"
    for port in _objects(container.get("ports")):
        if port.get("name") == PORT_NAME or port.get("containerPort") == PORT:
            yield f"{path}.ports: the port {PORT} named {PORT_NAME} is the runner's own: use another"


def _shape_faults(
    node: Mapping[str, Any], path: str, lists: Mapping[str, str], objects: tuple[str, ...]
) -> Iterator[str]:
    for key in objects:
        value = node.get(key)
        if value is not None and not isinstance(value, Mapping):
            yield f"{path}.{key} has to be an object, not {_word(value)}"
    for key, name in lists.items():
        value = node.get(key)
        if value is None:
            continue
        if not isinstance(value, list):
            yield f"{path}.{key} has to be a list, not {_word(value)}"
            continue
        for place, item in enumerate(value):
            if not isinstance(item, Mapping):
                yield f"{path}.{key}[{place}] has to be an object, not {_word(item)}"
            elif name and not item.get(name):
                yield f"{path}.{key}[{place}] needs a {name}"


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _word(value: Any) -> str:
    words = {str: "a string", list: "a list", bool: "true or false", dict: "an object"}
    return words.get(type(value), "a number")
