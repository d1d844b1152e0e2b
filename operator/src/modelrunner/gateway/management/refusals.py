"""What the API server's refusals mean to a client of the gateway's API. Pure."""

from dataclasses import dataclass
from typing import Final

from modelrunner.gateway.dialects import Refused
from modelrunner.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable

VALUE: Final = "gateway.management.namespace"
"""The chart's value that says where the gateway may write Models."""

_RETRY: Final = 5.0
_RBAC: Final = " is forbidden: User "


@dataclass(frozen=True, slots=True)
class Deed:
    """What was tried: `verb` such as "create", on which Model. `home`: where it may be done."""

    verb: str
    namespace: str
    name: str
    home: str


def refused(deed: Deed, error: KubeError) -> Refused:
    """The answer for the client."""
    if isinstance(error, Unavailable):
        told = f"the API server could not {_what(deed)}; try again: {error.message}"
        return Refused(503, "api_server_unavailable", told, retry_after=error.retry_after or _RETRY)
    if isinstance(error, Forbidden):
        return Refused(403, "forbidden", _forbidden(deed, error))
    if isinstance(error, Conflict):
        return Refused(409, "conflict", _conflict(deed, error))
    if isinstance(error, Invalid):
        return Refused(400, "invalid_model", f"no such Model can be: {error.message}")
    if isinstance(error, NotFound):
        told = f"there is nothing to {_what(deed)}: {error.message}"
        return Refused(404, "not_found", told)
    return Refused(500, "api_server_error", f"the API server did not {_what(deed)}: {error}")


def _what(deed: Deed) -> str:
    return f"{deed.verb} the Model {deed.namespace}/{deed.name}"


def _forbidden(deed: Deed, error: KubeError) -> str:
    if _RBAC not in error.message:
        return f"the API server refused to {_what(deed)}: {error.message}"
    told = f"the gateway has no right to {_what(deed)}: its API manages the namespace {deed.home}"
    if deed.namespace != deed.home:
        return f"{told} (the chart's value {VALUE}); use kubectl for Models elsewhere"
    return f"{told}, and its Role is missing: set gateway.management.enabled and rbac.create"


def _conflict(deed: Deed, error: Conflict) -> str:
    if not error.fields:
        return f"somebody else changes the Model {deed.namespace}/{deed.name} now; try again"
    told = " and ".join(f"{field} belongs to {manager}" for field, manager in error.fields)
    return f"{told}: change it there, or take it out of there, and ask again"
