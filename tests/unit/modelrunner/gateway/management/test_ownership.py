"""Whose a Model's fields are."""

from typing import Any

from hypothesis import given

from modelrunner.gateway.management.ownership import applied, owners, owners_of, owners_of_alias
from tests.support.table_objects import JSON, model

MINE = "model-runner-gateway-api"
SPEC = {
    "config": {
        "contextSize": 4096,
        "runtimeFlags": ["-t", "1"],
        "llamacpp": {"reasoningBudget": 0},
    },
    "keepAlive": "10m",
}


def managed(*entries: dict[str, Any]) -> dict[str, Any]:
    """A Model with these writers."""
    aliases = ("ai/a:latest", "b")
    return model(aliases=aliases, spec=SPEC, managedFields=list(entries))


def entry(manager: str, spec: Any, operation: str = "Apply", *, status: bool = False) -> Any:
    """What one of them has written of the spec, or of the status as if it were one."""
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:spec": spec, "f:metadata": {"f:labels": {}}},
        **({"subresource": "status"} if status else {}),
    }


def test_only_what_was_applied_is_applied_again() -> None:
    """With the values of now; what was made by POST, and others' fields, are not."""
    found = managed(
        entry(MINE, {"f:config": {"f:contextSize": {}, "f:llamacpp": {"f:reasoningBudget": {}}}}),
        entry(MINE, {"f:source": {}, "f:aliases": {'v:"ai/a:latest"': {}}}, "Update"),
        entry("argocd", {"f:config": {"f:runtimeFlags": {}}, "f:keepAlive": {}}),
    )
    assert applied(found, MINE) == {
        "config": {"contextSize": 4096, "llamacpp": {"reasoningBudget": 0}}
    }
    assert applied(found, "argocd") == {
        "config": {"runtimeFlags": ["-t", "1"]},
        "keepAlive": "10m",
    }
    assert applied(found, "nobody") == {}


def test_aliases_have_owners_one_by_one() -> None:
    """An item may belong to several."""
    found = managed(
        entry(MINE, {"f:aliases": {".": {}, 'v:"b"': {}}}),
        entry("kubectl", {"f:aliases": {".": {}, 'v:"b"': {}, 'v:"ai/a:latest"': {}}}),
    )
    assert applied(found, MINE) == {"aliases": ["b"]}
    assert owners_of_alias(found, "b") == ["kubectl", MINE]
    assert owners_of_alias(found, "ai/a:latest") == ["kubectl"]
    assert owners_of_alias(found, "c") == []


def test_owners() -> None:
    """Of a field, and of anything; status is the operator's affair."""
    found = managed(
        entry("argocd", {"f:config": {"f:contextSize": {}}}),
        entry("operator", {"f:config": {"f:contextSize": {}}}, "Update", status=True),
        {"manager": "labels-only", "operation": "Update", "fieldsV1": {"f:metadata": {}}},
    )
    assert owners_of(found, "config", "contextSize") == ["argocd"]
    assert owners_of(found, "config", "runtimeFlags") == []
    assert owners(found) == ["argocd"]


@given(JSON)
def test_any_managed_fields_are_read(value: object) -> None:
    """A field that is gone meanwhile is nobody's; nothing breaks."""
    found = model(spec=SPEC, managedFields=value)
    assert applied(found, MINE) == {}
    odd = managed({"manager": MINE, "operation": "Apply", "fieldsV1": {"f:spec": value}})
    applied(odd, MINE)
    owners(odd)
    gone = managed(entry(MINE, {"f:config": {"f:mode": {}}, "f:aliases": {'v:"c"': {}}}))
    assert applied(gone, MINE) == {}
