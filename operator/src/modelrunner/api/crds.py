"""The CustomResourceDefinitions, made from the pydantic models."""

from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import BaseModel

from modelrunner.api.annotations import Rule, matches, rules
from modelrunner.api.structural import Schema, structural_schema
from modelrunner.api.v1alpha1 import GROUP, VERSION, Model, ModelRunner
from modelrunner.api.v1alpha1.common import DNS_LABEL

HEADER: Final = (
    "# Made from operator/src/modelrunner/api by `make crds`. Do not edit: change the models.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`; `wide` ones appear with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The column as an entry of `additionalPrinterColumns`."""
        found: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return {**found, "priority": 1} if self.wide else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One custom resource: its model, its names and what `kubectl get` shows of it."""

    model: type[BaseModel]
    plural: str
    short: str
    columns: tuple[Column, ...]
    name_rule: Rule

    @property
    def name(self) -> str:
        """The kind, e.g. ModelRunner."""
        return self.model.__name__

    @property
    def crd_name(self) -> str:
        """Name of the definition, e.g. modelrunners.modelrunner.dev."""
        return f"{self.plural}.{GROUP}"


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_AGE: Final = Column(
    name="Age",
    type="date",
    path=".metadata.creationTimestamp",
    description="Time since it was created.",
)
_READY: Final = Column(
    name="Ready", path=_condition("Ready", "status"), description="Whether it can be used."
)
_REASON: Final = Column(
    name="Reason",
    path=_condition("Ready", "reason"),
    description="Why it is ready or not.",
    wide=True,
)
_MESSAGE: Final = Column(
    name="Message",
    path=_condition("Ready", "message"),
    description="The same in a sentence, with what to do.",
    wide=True,
)

MODEL: Final = Kind(
    model=Model,
    plural="models",
    short="mdl",
    columns=(
        Column(name="Phase", path=".status.phase", description="Where the model is."),
        _READY,
        Column(name="Engine", path=".status.engine", description="What serves it."),
        Column(name="Size", path=".status.artifact.size", description="Size of the weights."),
        Column(
            name="Progress",
            path=".status.download.progress",
            description="How far the pull of the weights is, while it runs.",
        ),
        Column(
            name="Replicas",
            type="integer",
            path=".status.readyReplicas",
            description="Runners that answer.",
        ),
        Column(
            name="Last-Used",
            type="date",
            path=".status.lastUsedTime",
            description="Time since the last request.",
        ),
        _AGE,
        _REASON,
        Column(
            name="Runner",
            path=".spec.runner",
            description="The ModelRunner that it names; empty for default.",
            wide=True,
        ),
        Column(
            name="Endpoint",
            path=".status.endpoint",
            description="Its address inside the cluster.",
            wide=True,
        ),
        Column(
            name="Memory",
            path=".status.artifact.memory",
            description="Memory that it needs; an estimate.",
            wide=True,
        ),
        Column(
            name="Digest",
            path=".status.artifact.digest",
            description="Digest of the weights.",
            wide=True,
        ),
        _MESSAGE,
    ),
    name_rule=Rule(
        matches("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"),
        "the name of a Model also names its Service: use at most 63 lower-case letters, digits and "
        '"-", beginning with a letter and ending with a letter or digit',
    ),
)
MODEL_RUNNER: Final = Kind(
    model=ModelRunner,
    plural="modelrunners",
    short="mr",
    columns=(
        Column(name="Engine", path=".spec.engine", description="What it serves with; empty: auto."),
        Column(
            name="Accelerator",
            path=".spec.accelerator.resource",
            description="The device of each runner; empty: CPU.",
        ),
        Column(
            name="Models",
            type="integer",
            path=".status.models",
            description="Models that refer to it.",
        ),
        Column(
            name="Ready models",
            type="integer",
            path=".status.readyModels",
            description="How many of them are Ready.",
        ),
        Column(
            name="Cache",
            path=".status.cache.size",
            description="Size of the cache claims of its Models.",
            wide=True,
        ),
        Column(
            name="Unused",
            type="integer",
            path=".status.cache.unusedClaims",
            description="How many of these claims nobody uses.",
            wide=True,
        ),
        _READY,
        _AGE,
        _REASON,
        _MESSAGE,
    ),
    name_rule=Rule(
        matches(DNS_LABEL),
        "the name of a ModelRunner is also a label of its pods: use at most 63 lower-case letters, "
        'digits and "-", with a letter or digit at both ends',
    ),
)
KINDS: Final = (MODEL, MODEL_RUNNER)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind, as JSON."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.crd_name,
            "labels": {
                "app.kubernetes.io/name": "model-runner",
                "app.kubernetes.io/component": "crd",
            },
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["model-runner"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [column.to_dict() for column in kind.columns],
                    "schema": {"openAPIV3Schema": object_schema(kind)},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def object_schema(kind: Kind) -> Schema:
    """The schema of a whole object, `spec` and `status` from the model."""
    schema = structural_schema(kind.model)
    found = {
        "type": "object",
        "description": schema["description"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"Always {GROUP}/{VERSION}.",
            },
            "kind": {"type": "string", "description": f"Always {kind.name}."},
            "metadata": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": 253, **rules(kind.name_rule)}
                },
            },
            "spec": schema["properties"]["spec"],
            "status": schema["properties"]["status"],
        },
    }
    if "spec" in schema.get("required", ()):
        found["required"] = ["spec"]
    return found


def manifests() -> dict[str, str]:
    """The YAML files of `crds/` by file name; equal models give equal bytes."""
    return {f"{kind.crd_name}.yaml": HEADER + _to_yaml(definition(kind)) for kind in KINDS}


class _Dumper(yaml.SafeDumper):
    """Writes equal objects out in full: anchors would make a diff unreadable."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _to_yaml(document: dict[str, Any]) -> str:
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
