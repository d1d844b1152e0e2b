"""What an EndpointSlice says about the runner pods of one Model.

Only slices that the operator's Service has made count: the endpointslice controller copies the
Service's labels onto them. Of an endpoint's conditions an unset `ready` means true (the API's
own rule); a pod that is terminating takes nothing new, whatever else is said of it.
"""

from collections.abc import Iterable
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from modelrunner.domain.objects import Object, dig, items, label, name_of, text
from modelrunner_protocol.wire import PORT_NAME

SERVICE_LABEL: Final = "kubernetes.io/service-name"
_FAMILIES: Final = {"IPv4": 4, "IPv6": 6}


class State(IntEnum):
    """What may be sent to a pod; the better one counts while two slices speak of one pod."""

    STARTING = 0
    READY = 1


class Member(NamedTuple):
    """A pod behind a Model. `uid` is the pod's, "" where the slice does not say it."""

    family: int
    host: str
    port: int
    uid: str
    name: str
    state: State

    @property
    def identity(self) -> tuple[str, str, int]:
        """What stays the same for as long as it is the same pod at the same address."""
        return (self.uid, self.host, self.port)


class Slice(NamedTuple):
    """An EndpointSlice of ours: the Model (namespace, name) that it belongs to, and its pods."""

    model: tuple[str, str]
    members: tuple[Member, ...]


def place_of(item: Object) -> tuple[str, str]:
    """Namespace and name of the slice itself."""
    return (text(item, "metadata", "namespace"), name_of(item))


def read_slice(item: Object) -> Slice | None:
    """The pods of a slice, None when it is none of ours. What cannot be read is left out."""
    model, namespace = label(item, MODEL_LABEL), text(item, "metadata", "namespace")
    ours = (
        label(item, MANAGED_BY_LABEL) == MANAGED_BY
        and model != ""
        and label(item, SERVICE_LABEL) == model
    )
    family, port = _FAMILIES.get(text(item, "addressType")), _port(item)
    if not ours or not namespace or family is None or port is None:
        return None
    found = (_member(endpoint, family, port) for endpoint in items(item, "endpoints"))
    return Slice((namespace, model), tuple(member for member in found if member is not None))


def merged(slices: Iterable[Slice]) -> list[Member]:
    """The pods of all slices of a Model: each once, in an order that depends on nothing else.

    While endpoints move from one slice to another they may be in both. A pod that has addresses
    of two families is one runner: its IPv4 address is used.
    """
    best: dict[tuple[str, str, int], Member] = {}
    for found in slices:
        for member in found.members:
            known = best.get(member.identity)
            if known is None or (member.state, member.name) > (known.state, known.name):
                best[member.identity] = member
    pods: dict[str, Member] = {}
    for member in sorted(best.values()):
        pods.setdefault(member.uid or f"{member.host} {member.port}", member)
    return list(pods.values())


def _port(item: Object) -> int | None:
    for port in items(item, "ports"):
        value = port.get("port")
        if port.get("name") == PORT_NAME and port.get("protocol", "TCP") == "TCP":
            return value if type(value) is int and 0 < value < 65536 else None
    return None


def _member(endpoint: Object, family: int, port: int) -> Member | None:
    host = _address(endpoint, family)
    conditions = endpoint.get("conditions")
    if host is None or dig(conditions, "terminating") is True:
        return None
    state = State.STARTING if dig(conditions, "ready") is False else State.READY
    pod = text(endpoint, "targetRef", "name")
    return Member(family, host, port, text(endpoint, "targetRef", "uid"), pod or host, state)


def _address(endpoint: Object, family: int) -> str | None:
    """The first address, as consumers are told to use; never a name that would be resolved."""
    addresses: Any = endpoint.get("addresses")
    if not isinstance(addresses, list) or not addresses or not isinstance(addresses[0], str):
        return None
    try:
        found = ip_address(addresses[0])
    except ValueError:
        return None
    return addresses[0] if found.version == family else None
