"""ModelRunner: how and where models run; written by a platform team."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from modelrunner.api.annotations import Rule, Rules, list_type, matches, rules
from modelrunner.api.v1alpha1.common import (
    DNS_SUBDOMAIN,
    ApiModel,
    KeepAlive,
    ObjectMeta,
    ObjectName,
    Period,
    Timeout,
)
from modelrunner.api.v1alpha1.pods import (
    EnvVar,
    Labels,
    PodTemplate,
    Resources,
    Toleration,
    TopologySpreadConstraint,
)
from modelrunner.api.v1alpha1.scaling import Activation, Limits, Scaling
from modelrunner.api.v1alpha1.status import ModelRunnerStatus
from modelrunner.api.v1alpha1.values import AccessMode, Engine, Retention


class Images(ApiModel):
    """Runner images, one for each engine."""

    llama_cpp: (
        Annotated[
            str,
            Field(max_length=512),
            Rules(
                Rule(
                    matches(r"^[^\s]*$"),
                    'use an image reference without spaces, such as "registry.example.com/runner:1.0"',
                )
            ),
        ]
        | None
    ) = None
    """Image with llama.cpp and the runner, for models in the GGUF format. Absent or empty: the
    image that the operator was installed with.
    """


class Accelerator(ApiModel):
    """GPUs or other devices for each runner pod."""

    resource: Annotated[
        str,
        Field(max_length=317),
        Rules(
            Rule(
                matches(
                    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
                    "/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
                )
                + " && !self.matches(r'^(.*\\.)?kubernetes\\.io/') && !self.startsWith('requests.')",
                'use the name of an extended resource as a node offers it, such as "nvidia.com/gpu"',
            )
        ),
    ]
    """The extended resource that nodes with the device offer, e.g. `nvidia.com/gpu` or
    `amd.com/gpu`. Each runner pod asks for it and so lands on such a node.
    """

    count: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many devices each runner pod gets. Default: 1."""


class Scheduling(ApiModel):
    """Where pods may run. Pull Jobs follow the same rules as the runners."""

    node_selector: Labels | None = None
    """Labels that a node must have, e.g. `{nvidia.com/gpu.product: NVIDIA-H200}`. Default: any node."""

    tolerations: Annotated[list[Toleration], Field(max_length=32), list_type("atomic")] | None = (
        None
    )
    """Node taints that the pods put up with. Default: none."""

    affinity: dict[str, Any] | None = None
    """Kubernetes' `Affinity`: nodeAffinity, podAffinity, podAntiAffinity. Default: none."""

    topology_spread_constraints: (
        Annotated[list[TopologySpreadConstraint], Field(max_length=16), list_type("atomic")] | None
    ) = None
    """How the pods spread over nodes or zones. Default: the scheduler's own rules."""

    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods. Default: the cluster's."""

    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the runner pods, e.g. `nvidia`. Default: the node's runtime."""

    scheduler_name: ObjectName | None = None
    """The scheduler that places the pods. Default: default-scheduler."""


class Cache(ApiModel):
    """Where downloaded weights are kept.

    Another storageClassName or accessMode counts for claims made from then on.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.existingClaim) || !(has(self.storageClassName) || has(self.accessMode)"
                " || has(self.size) || has(self.retention))",
                "existingClaim is used as it is: remove storageClassName, accessMode, size and "
                "retention, or remove existingClaim",
            ),
            Rule(
                "!has(self.existingClaim) || !has(self.ttl)",
                "ttl is for the operator's own claims: remove ttl or existingClaim; `runnerd prune` "
                "removes what a shared claim no longer needs",
            ),
        )
    )

    storage_class_name: (
        Annotated[
            str,
            Field(max_length=253),
            Rules(
                Rule(
                    f"self == '' || {matches(DNS_SUBDOMAIN)}",
                    'use the name of a StorageClass: lower-case letters, digits, "-" and "."',
                )
            ),
        ]
        | None
    ) = None
    """StorageClass of the claims; empty for volumes that exist already. Default: the cluster's
    default class.
    """

    access_mode: AccessMode | None = None
    """`ReadWriteOnce`: all pods that mount the claim share a node; runners that find no room there
    are taken back, which the condition ReplicasLimited tells. `ReadWriteMany`: they spread over
    nodes, if the class can do it. What the bound volume offers counts before what is asked for
    here. Default: ReadWriteOnce.
    """

    size: (
        Annotated[
            str,
            Field(max_length=32),
            Rules(
                Rule(
                    "self == 'auto' || (isQuantity(self) && quantity(self).isGreaterThan(quantity('0')))",
                    'use "auto" or a size larger than 0, such as "20Gi"',
                )
            ),
        ]
        | None
    ) = None
    """Size of each claim, in bytes, e.g. `20Gi`; `auto` takes the size of the weights, a
    tenth and 64 MiB more. A size below the weights is told as CacheTooSmall. Default: auto.
    """

    existing_claim: ObjectName | None = None
    """A PersistentVolumeClaim of this namespace that all models share, instead of one claim for
    each. The operator never deletes it. What it holds already is not pulled; on one that offers
    only ReadOnlyMany nothing is pulled at all, and `runnerd import` fills it. Default: none.
    """

    retention: Retention | None = None
    """What happens to a claim when no Model uses it any more. `Retain` keeps it, and it is found
    again when the same source comes back; `Delete` deletes it once no pod uses it. A switch counts
    for claims that a Model uses then or later. Default: Retain.
    """

    ttl: Period | None = None
    """How long a claim is kept that no Model refers to and no pod mounts, e.g. `168h` for a week.
    Then it is deleted, and its weights are pulled again should a Model want them. What would go is
    listed in status.cache beforehand. Default: for ever.
    """


class Monitoring(ApiModel):
    """How Prometheus finds the runners."""

    service_monitor: bool | None = None
    """Whether a ServiceMonitor is made, in clusters that have this kind (Prometheus operator).
    Default: true.
    """

    interval: (
        Annotated[
            str,
            Field(max_length=32),
            Rules(
                Rule(
                    "self != '' && self.matches('[1-9]') && "
                    + matches("^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$"),
                    'use a duration longer than 0 in whole numbers, such as "30s" or "1m30s"',
                )
            ),
        ]
        | None
    ) = None
    """Time between two scrapes. Default: 30s."""

    labels: Labels | None = None
    """Labels on the ServiceMonitor, for a Prometheus that selects by label, e.g.
    `{release: prometheus}`. Default: none.
    """


class ModelRunnerSpec(ApiModel):
    """How and where the models of this runner run."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.accelerator) || !has(self.resources)"
                " || (!(has(self.resources.requests)"
                " && self.accelerator.resource in self.resources.requests)"
                " && !(has(self.resources.limits)"
                " && self.accelerator.resource in self.resources.limits))",
                "the accelerator's resource is also in resources: state it in accelerator only",
            )
        )
    )

    engine: Engine | None = None
    """The inference engine. `auto` chooses by the format of the weights: GGUF is served by
    llama.cpp. Default: auto.
    """

    images: Images | None = None
    """Runner images, if they are not the operator's own."""

    accelerator: Accelerator | None = None
    """GPUs or other devices for each runner pod. Default: none, models run on the CPU."""

    resources: Resources | None = None
    """CPU and memory of each runner. Default: no requests and no limits."""

    scheduling: Scheduling | None = None
    """Where pods may run. Default: anywhere."""

    cache: Cache | None = None
    """Where downloaded weights are kept. Default: one claim for each artifact, as large as needed."""

    keep_alive: KeepAlive | None = None
    """How long a model stays loaded after its last request, for Models that do not say: a
    duration such as `5m`, `0` to unload as soon as idle, `-1` for ever. Default: 5m.
    """

    scaling: Scaling | None = None
    """Between which bounds models scale that do not say."""

    activation: Activation | None = None
    """How requests wait at the gateway while a model wakes."""

    limits: Limits | None = None
    """How many requests the gateway lets through to each model that does not say."""

    startup_timeout: Timeout | None = None
    """How long an engine may take from its start until it has answered its warm-up, e.g. `30m`
    for a model of hundreds of gigabytes; at most 24h. Then the Model says StartupTimedOut.
    Default: 30m.
    """

    drain_timeout: Timeout | None = None
    """How long a runner that is being stopped may go on with requests in flight; at most 24h.
    Default: 2m.
    """

    monitoring: Monitoring | None = None
    """How Prometheus finds the runners."""

    env: Annotated[list[EnvVar], Field(max_length=128), list_type("map", "name")] | None = None
    """Environment variables of the runner's container. Default: none."""

    pod_template: PodTemplate | None = None
    """A partial pod template, laid over the operator's own last of all, for what has no field
    here. Default: none.
    """


class ModelRunner(ApiModel):
    """How and where models run: engine, devices, resources, cache.

    Written by a platform team; Models of the same namespace refer to it by name.
    """

    api_version: Literal["modelrunner.dev/v1alpha1"] = "modelrunner.dev/v1alpha1"
    kind: Literal["ModelRunner"] = "ModelRunner"
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: ModelRunnerSpec = Field(default_factory=ModelRunnerSpec)
    status: ModelRunnerStatus = Field(default_factory=ModelRunnerStatus)
