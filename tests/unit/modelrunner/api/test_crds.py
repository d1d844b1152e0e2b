"""The definitions say what users need and are the same every time."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from modelrunner.api.crds import HEADER, KINDS, Kind, definition, manifests, object_schema
from modelrunner.api.reference import walk
from modelrunner.api.v1alpha1 import API_VERSION

by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def test_the_manifests_do_not_depend_on_the_process() -> None:
    """Another process with another hash seed writes the same bytes."""
    code = "from modelrunner.api.crds import manifests; print(manifests())"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert other.stdout.strip() == str(manifests())


def test_the_yaml_reads_back() -> None:
    """What is written is the definition, below a line that says not to edit it."""
    for kind in KINDS:
        text = manifests()[f"{kind.crd_name}.yaml"]
        assert text.startswith(HEADER)
        assert yaml.safe_load(text) == definition(kind)


@by_kind
def test_every_field_is_described(kind: Kind) -> None:
    """`kubectl explain` has a sentence for every field but metadata, which is Kubernetes' own."""
    schema = object_schema(kind)
    del schema["properties"]["metadata"]
    bare = [path for path, field, _ in walk(schema, "") if not field.get("description")]
    assert bare == []
    short = [
        path for path, field, _ in walk(schema, "") if not field["description"].endswith((".", "`"))
    ]
    assert short == []


@by_kind
def test_optional_fields_name_their_default(kind: Kind) -> None:
    """A user reads what happens without a field of spec.

    Not asked of fields that only hold others, of alternatives, and of free-form pod specs.
    """
    spec = object_schema(kind)["properties"]["spec"]
    silent = [
        path
        for path, field, required in walk(spec, "spec")
        if not (required or "properties" in field)
        and not re.search(r"[Dd]efault\b|Absent or empty", field["description"])
        and not path.startswith(("spec.env[].valueFrom", "spec.podTemplate.spec."))
    ]
    assert silent == []


@by_kind
def test_the_schema_holds_no_defaults(kind: Kind) -> None:
    """A default of the API server would be drift that Git does not hold."""
    assert all("default" not in node for node in nodes(object_schema(kind)))


@by_kind
def test_everything_that_a_user_writes_is_bounded(kind: Kind) -> None:
    """Strings, lists and maps of spec have a largest size, so that rules have a price."""
    spec = object_schema(kind)["properties"]["spec"]
    bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}, "object": {"maxProperties"}}
    unbounded = [
        node
        for node in nodes(spec)
        if isinstance(node.get("type"), str)
        and (node["type"] != "object" or "additionalProperties" in node)
        and not bounds.get(node["type"], set(node)) & node.keys()
        and "description" in node
    ]
    assert unbounded == []


def test_names_and_scope() -> None:
    """Short names and the category that `kubectl get model-runner` uses."""
    found = {
        kind.name: (definition(kind)["spec"]["names"], definition(kind)["spec"]["scope"])
        for kind in KINDS
    }
    assert {name: (names["shortNames"], scope) for name, (names, scope) in found.items()} == {
        "Model": (["mdl"], "Namespaced"),
        "ModelRunner": (["mr"], "Namespaced"),
    }
    assert all(names["categories"] == ["model-runner"] for names, _ in found.values())


@by_kind
def test_only_status_is_a_subresource(kind: Kind) -> None:
    """Scaling belongs to the Deployment of a Model (ADR 4)."""
    [version] = definition(kind)["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert f"{definition(kind)['spec']['group']}/{version['name']}" == API_VERSION


@by_kind
def test_columns_show_fields_that_exist(kind: Kind) -> None:
    """No column is empty because its path has a typing error."""
    known = {path for path, _, _ in walk(object_schema(kind), "")}
    for column in kind.columns:
        path = re.sub(r"\[\?\(@\.type==\"\w+\"\)\]", "[]", column.path)
        assert path in known or path == ".metadata.creationTimestamp"
