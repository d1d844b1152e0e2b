"""The Gateway API's HTTPRoute, with the fields a plain route has, served while a block runs.

The names, patterns and required fields are those of `gateway.networking.k8s.io/v1` (Gateway API
1.x, standard channel); what is not here is refused by strict validation, as a typo would be.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.cluster.waiting import wait_until
from tests.support.kubeapi import KubeApi, Object

_API_VERSION: Final = "gateway.networking.k8s.io/v1"
_CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_NAME: Final = "httproutes.gateway.networking.k8s.io"


def _object(required: tuple[str, ...] = (), **properties: Any) -> Object:
    schema: Object = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Object) -> Object:
    return {"type": "array", "items": items}


_TEXT: Final[Object] = {"type": "string", "minLength": 1, "maxLength": 253}
_PORT: Final[Object] = {"type": "integer", "minimum": 1, "maximum": 65535}
_HOST: Final[Object] = _TEXT | {
    "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
}
_DURATION: Final[Object] = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
_REFERENCE: Final = {"group": {"type": "string"}, "kind": _TEXT, "namespace": _TEXT}
_PATH: Final = _object(
    type={"type": "string", "enum": ["Exact", "PathPrefix", "RegularExpression"]},
    value={"type": "string", "maxLength": 1024},
)
_RULE: Final = _object(
    matches=_list(_object(path=_PATH)),
    backendRefs=_list(
        _object(("name",), **_REFERENCE, name=_TEXT, port=_PORT, weight={"type": "integer"})
    ),
    timeouts=_object(request=_DURATION, backendRequest=_DURATION),
)
_SPEC: Final = _object(
    parentRefs=_list(_object(("name",), **_REFERENCE, name=_TEXT, sectionName=_TEXT, port=_PORT)),
    hostnames=_list(_HOST),
    rules=_list(_RULE),
)
_DEFINITION: Final[Object] = {
    "apiVersion": _CRD[0],
    "kind": _CRD[1],
    "metadata": {
        "name": _NAME,
        "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {
            "kind": "HTTPRoute",
            "listKind": "HTTPRouteList",
            "plural": "httproutes",
            "singular": "httproute",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _object(("spec",), spec=_SPEC)},
            }
        ],
    },
}


@contextmanager
def serving_http_routes(api: KubeApi) -> Iterator[None]:
    """Install the kind, and remove it, and all objects of it, at the end."""
    api.apply(_DEFINITION)

    def served() -> bool:
        return api.http.get(f"/apis/{_API_VERSION}/httproutes").is_success

    wait_until("the kind HTTPRoute", served, seconds=120)
    try:
        yield
    finally:
        api.delete(*_CRD, _NAME)
        wait_until("the end of the kind", lambda: not served(), seconds=120)
