"""The parts of Kubernetes' own pod API that a ModelRunner passes on, under the same names."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from modelrunner.api.annotations import Extend, Rule, Rules, list_type, matches, rules
from modelrunner.api.v1alpha1.common import ApiModel, ObjectName

LABEL_VALUE: Final = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
QUALIFIED_NAME: Final = (
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)

_QUANTITIES: Final = Rules(
    Rule(
        "self.all(name, isQuantity(string(self[name])))",
        'use quantities such as "500m", 2 or "8Gi"',
    ),
    Rule(
        "self.all(name, !string(self[name]).startsWith('-'))",
        "use quantities that are not negative",
    ),
)
_LABEL_KEYS: Final = Rule(
    "self.all(key, " + matches(QUALIFIED_NAME, subject="key") + ")",
    'use label names such as "team" or "example.com/team"',
)

Quantities = Annotated[dict[str, int | str], Field(max_length=12), _QUANTITIES]
"""Amounts by resource name, e.g. `{"cpu": "2", "memory": "8Gi"}`."""

LabelText = Annotated[
    str,
    Field(max_length=253),
    Rules(
        Rule(
            matches(LABEL_VALUE),
            'use at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
        )
    ),
]
Labels = Annotated[dict[str, LabelText], Field(max_length=32), Rules(_LABEL_KEYS)]
TemplatedLabels = Annotated[
    dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32), Rules(_LABEL_KEYS)
]
"""Labels whose values may hold Jinja; what they render to is checked when it is applied."""

Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=16384)]], Field(max_length=32), Rules(_LABEL_KEYS)
]


class Resources(ApiModel):
    """CPU and memory of the runner's container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                # Only these two: the API server prices every name at the longest quantity.
                "!has(self.requests) || !has(self.limits) || ['cpu', 'memory'].all(name,"
                " !(name in self.requests) || !(name in self.limits)"
                " || !isQuantity(string(self.requests[name]))"
                " || !isQuantity(string(self.limits[name]))"
                " || quantity(string(self.requests[name]))"
                ".compareTo(quantity(string(self.limits[name]))) <= 0)",
                "the cpu or memory request is larger than its limit: lower the request or raise the limit",
            )
        )
    )

    requests: Quantities | None = None
    """What the scheduler reserves on a node, by resource name, e.g. `{cpu: "2", memory: 8Gi}`.
    Default: the limits, or nothing.
    """

    limits: Quantities | None = None
    """What a runner may use at most. A runner over its memory limit is killed and reports
    OutOfMemory. Default: no limit.
    """


class TolerationOperator(StrEnum):
    """How a toleration compares a taint's value."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ApiModel):
    """A node taint that runner pods put up with (Kubernetes' `Toleration`)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value)"
                " || self.value == ''",
                "a toleration with the operator Exists has no value: remove the value",
            ),
            Rule(
                "(has(self.key) && self.key != '')"
                " || (has(self.operator) && self.operator == 'Exists')",
                "a toleration without a key needs the operator Exists",
            ),
            Rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds needs the effect NoExecute",
            ),
        )
    )

    key: Annotated[str, Field(max_length=317)] | None = None
    """The taint's key. Default: every taint, with the operator Exists."""

    operator: TolerationOperator | None = None
    """`Equal` (default): the taint's value must be `value`. `Exists`: any value will do."""

    value: Annotated[str, Field(max_length=63)] | None = None
    """The taint's value, for the operator Equal. Default: empty."""

    effect: TaintEffect | None = None
    """The effect that is tolerated. Default: every effect."""

    toleration_seconds: int | None = None
    """Seconds that a pod stays after the taint has appeared, for the effect NoExecute.
    Default: for ever.
    """


class SpreadPolicy(StrEnum):
    """Whether a node filter counts for spreading."""

    HONOR = "Honor"
    IGNORE = "Ignore"


class Unsatisfiable(StrEnum):
    """What the scheduler does when a spread constraint cannot be kept."""

    DO_NOT_SCHEDULE = "DoNotSchedule"
    SCHEDULE_ANYWAY = "ScheduleAnyway"


class TopologySpreadConstraint(ApiModel):
    """How runner pods spread over nodes or zones (Kubernetes' `TopologySpreadConstraint`)."""

    max_skew: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """By how many pods two domains may differ."""

    topology_key: Annotated[str, Field(min_length=1, max_length=317)]
    """The node label whose values are the domains, e.g. `topology.kubernetes.io/zone`."""

    when_unsatisfiable: Unsatisfiable
    """`DoNotSchedule` leaves a pod pending; `ScheduleAnyway` only prefers the spread."""

    label_selector: dict[str, Any] | None = None
    """Which pods are counted (Kubernetes' `LabelSelector`), e.g.
    `{matchLabels: {modelrunner.dev/model: smollm2}}`. Default: Kubernetes counts none.
    """

    match_label_keys: (
        Annotated[
            list[Annotated[str, Field(max_length=317)]], Field(max_length=16), list_type("atomic")
        ]
        | None
    ) = None
    """Labels of the pod itself that counted pods must share, e.g. `[pod-template-hash]`.
    Needs `labelSelector`. Default: none.
    """

    min_domains: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """How many domains there have to be at least, for DoNotSchedule. Default: 1."""

    node_affinity_policy: SpreadPolicy | None = None
    """Whether nodes outside the pod's affinity are left out. Default: Honor."""

    node_taints_policy: SpreadPolicy | None = None
    """Whether nodes with taints that the pod does not tolerate are left out. Default: Ignore."""


class KeyReference(ApiModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the Secret or ConfigMap."""

    key: Annotated[str, Field(min_length=1, max_length=253)]
    """The key whose value is used."""

    optional: bool | None = None
    """Whether a pod may start without the object or the key. Default: false."""


class FieldReference(ApiModel):
    """A field of the pod itself (Kubernetes' `ObjectFieldSelector`)."""

    field_path: Annotated[str, Field(min_length=1, max_length=512)]
    """Path of the field, e.g. `status.podIP` or `metadata.labels['team']`."""

    api_version: Annotated[str, Field(max_length=64)] | None = None
    """Version of the path's schema. Default: v1."""


class ResourceReference(ApiModel):
    """A resource amount of a container (Kubernetes' `ResourceFieldSelector`)."""

    resource: Annotated[str, Field(min_length=1, max_length=317)]
    """The amount, e.g. `limits.memory`."""

    container_name: Annotated[str, Field(max_length=63)] | None = None
    """The container whose amount is read. Default: the runner's own."""

    divisor: int | str | None = None
    """The unit of the value, e.g. `1Mi`. Default: 1."""


class EnvVarSource(ApiModel):
    """Where an environment variable's value comes from; exactly one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef),"
                " has(self.resourceFieldRef)].exists_one(given, given)",
                "set exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
            )
        )
    )

    secret_key_ref: KeyReference | None = None
    """A key of a Secret in the ModelRunner's namespace. The operator never reads it: the
    kubelet does.
    """

    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap in the ModelRunner's namespace."""

    field_ref: FieldReference | None = None
    """A field of the pod."""

    resource_field_ref: ResourceReference | None = None
    """A request or limit of the container."""


class EnvVar(ApiModel):
    """An environment variable of the runner's container (Kubernetes' `EnvVar`)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(has(self.value) && has(self.valueFrom))",
                "set value or valueFrom, not both",
            )
        )
    )

    name: Annotated[
        str,
        Field(max_length=253),
        Rules(
            Rule(
                matches("^[-._a-zA-Z][-._a-zA-Z0-9]*$"),
                'use letters, digits, "_", "-" and ".", not beginning with a digit',
            ),
            Rule(
                "!(self in ['RUNNERD_CONFIG', 'RUNNERD_PULL', 'TERMINATION_LOG'])",
                "this variable belongs to the operator: choose another name",
            ),
        ),
    ]
    """Name of the variable. RUNNERD_CONFIG, RUNNERD_PULL and TERMINATION_LOG belong to the operator;
    other RUNNERD_… variables are settings of the runner (docs/reference/runner-settings.md).
    """

    value: Annotated[str, Field(max_length=32768)] | None = None
    """The value. It may name `{{ model.name }}`, `{{ model.namespace }}`, `{{ model.format }}` and
    `{{ runner.name }}`; another name is told as InvalidConfiguration. Default: empty.
    """

    value_from: EnvVarSource | None = None
    """Takes the value from somewhere else."""


_NAMED_ITEMS: Final = {
    "type": "array",
    "maxItems": 64,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "maxLength": 253,
                "minLength": 1,
                "description": "Which one is meant: an unknown name adds one.",
            }
        },
        "x-kubernetes-preserve-unknown-fields": True,
    },
}
_POD_SPEC: Final = Extend(
    {
        "properties": {
            "containers": {
                **_NAMED_ITEMS,
                "description": "Containers. The one named `runner` changes the runner's own; "
                "others are added beside it.",
            },
            "initContainers": {
                **_NAMED_ITEMS,
                "description": "Containers that run before the runner, or beside it with "
                "`restartPolicy: Always`.",
            },
            "volumes": {
                **_NAMED_ITEMS,
                "description": "Volumes. One of the same name is replaced, others are added.",
            },
        }
    }
)


class PodTemplateMetadata(ApiModel):
    """Labels and annotations of runner pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.labels) || has(self.annotations)",
                "metadata holds labels and annotations: set one of them or remove metadata",
            )
        )
    )

    labels: TemplatedLabels | None = None
    """Labels for runner pods. Labels that the operator sets itself cannot be changed. Values may
    name `{{ model.name }}` and the like. Default: none.
    """

    annotations: Annotations | None = None
    """Annotations for runner pods. Values may name `{{ model.name }}` and the like.
    Default: none.
    """


class PodTemplate(ApiModel):
    """A partial pod template that is laid over the operator's own, last of all."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.metadata) || has(self.spec)",
                "a podTemplate holds metadata (labels, annotations) or spec (a PodSpec, e.g. "
                "spec.containers): put what you wrote below one of them, or remove podTemplate",
            )
        )
    )

    metadata: PodTemplateMetadata | None = None
    """Labels and annotations of runner pods."""

    spec: Annotated[dict[str, Any], _POD_SPEC] | None = None
    """Any part of a PodSpec. Objects are merged field by field, and null removes a field; containers
    are merged by name; volumes, ports, variables and the like replace the one of the same name or
    are added; tolerations, topologySpreadConstraints and envFrom are added; other lists are
    replaced. Strings may name `{{ model.name }}`, `{{ model.namespace }}`,
    `{{ model.format }}` and `{{ runner.name }}`. A result that is not a pod is told as
    InvalidConfiguration.
    """
