"""What the operator reports about both kinds. Sizes are bytes, times are seconds."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelrunner.api.annotations import Extend, list_type
from modelrunner.api.v1alpha1.common import ApiModel


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One aspect of the object's state (Kubernetes' `metav1.Condition`)."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """`Ready` and `Cached` are True when all is well; `Reconciling`, `Stalled`, `NameConflict` and
    `ReplicasLimited` are only there while they are True.
    """

    status: ConditionStatus
    """Whether the condition holds: True, False or Unknown."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in one word, for programs."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, in a sentence, and what to do about it."""

    last_transition_time: Annotated[str, Extend({"format": "date-time"})]
    """When `status` last changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The `metadata.generation` that the condition speaks about."""


Conditions = Annotated[list[Condition], Field(max_length=32), list_type("map", "type")]


class ArtifactStatus(ApiModel):
    """The weights, as they were found at the source."""

    digest: str | None = None
    """Digest of the file, or of a registry's artifact its manifest's: `sha256:…`, once known."""

    revision: str | None = None
    """Commit of a Hub's repository that the weights are from."""

    format: str | None = None
    """Format of the weights, e.g. gguf. It decides the engine."""

    size_bytes: int | None = None
    """Size of all files, in bytes."""

    size: str | None = None
    """The same for people, e.g. `92.1 MiB`."""

    architecture: str | None = None
    """Architecture that the file names, e.g. llama."""

    parameters: str | None = None
    """Number of parameters, e.g. `135M`."""

    quantization: str | None = None
    """Quantization, e.g. `Q4_0`."""

    context_size: int | None = None
    """Tokens that the model was trained for."""

    abilities: list[str] | None = None
    """What the chat template shows that the model can do beyond text: `tools`, `thinking`."""

    memory_bytes: int | None = None
    """An estimate of the memory that the model needs, in bytes: its weights, what it keeps of 4,096
    tokens of context (or as many as it was trained for), and what it computes with. A larger
    context, more requests at once and an engine of another kind need more. Absent where the files
    do not tell; of safetensors whose layers are not known it is the least: the weights alone.
    """

    memory: str | None = None
    """The same for people, e.g. `262.4 MiB`."""


class SourceStatus(ApiModel):
    """The version of the source that is wanted, and what the last look at the source has found.

    A source moves: a tag, a branch, a file or an object that is written anew.
    """

    source_key: str | None = None
    """Name of the source. Of another source than the spec's, all of this is forgotten."""

    key: str | None = None
    """Name of the version that is wanted: of its claim, Jobs and folder."""

    checked_time: Annotated[str, Extend({"format": "date-time"})] | None = None
    """When it was last looked whether the source has moved."""

    checked_by: str | None = None
    """UID of the Job that looked."""

    handled_refresh: str | None = None
    """Value of the annotation `modelrunner.dev/refresh` that was last answered."""

    failed_refresh: str | None = None
    """Value of that annotation for which the last look failed, `(interval)` where nobody had asked.
    It is tried again by itself; another value is looked for at once.
    """

    digest: str | None = None
    """Digest that the source had at that time."""

    revision: str | None = None
    """Commit that the branch or tag stood for at that time. It may be another one than that of the
    weights when it changes none of their files.
    """

    message: str | None = None
    """Why the last look found nothing that can be used, or why one cannot begin. What serves goes on
    serving.
    """

    failures: int | None = None
    """Looks in a row that failed and are tried again."""

    superseded: Annotated[list[str], Field(max_length=16)] | None = None
    """Versions that are given up once the wanted one serves."""


class DownloadStatus(ApiModel):
    """A pull that is running or was the last one."""

    completed_bytes: int | None = None
    """Bytes that are on the volume, those of earlier tries included."""

    total_bytes: int | None = None
    """Bytes that there will be."""

    percent: int | None = None
    """Completed, in percent."""

    bytes_per_second: int | None = None
    """Speed over the last seconds."""

    eta_seconds: int | None = None
    """Seconds that are left at this speed."""

    resumed_bytes: int | None = None
    """Those of `completedBytes` that an earlier try had left; absent without any."""

    stalled_since: Annotated[str, Extend({"format": "date-time"})] | None = None
    """Since when no byte has come, once that is a minute; absent while bytes come."""

    progress: str | None = None
    """All of it for people, e.g. `43% 12.1 MiB/s ETA 1m20s` or `43% stalled`."""


class StartupStatus(ApiModel):
    """The last cold start by stage, each in seconds."""

    scheduled_seconds: float | None = None
    """From the pod's creation until a node was found."""

    image_seconds: float | None = None
    """From there until the container ran: volumes, and the image where the node did not have it."""

    engine_seconds: float | None = None
    """From there until the engine was healthy: runner start and weights read."""

    warmup_seconds: float | None = None
    """From there until the warm-up was answered."""

    total_seconds: float | None = None
    """From the pod's creation until the model was ready."""


class ActivationStatus(ApiModel):
    """How requests wait at the gateway, as it counts for this Model."""

    max_held: int | None = None
    """Requests that may wait at each replica of the gateway."""

    timeout_seconds: float | None = None
    """Seconds that a request may wait."""


class LimitsStatus(ApiModel):
    """What each replica of the gateway lets through, as it counts for this Model."""

    concurrent_requests: int | None = None
    """Requests at once; absent: no limit."""

    requests_per_minute: int | None = None
    """Requests in a minute; absent: no limit."""


class VerifiedStatus(ApiModel):
    """The last verification of the weights, asked for with the annotation `modelrunner.dev/verify`."""

    time: Annotated[str, Extend({"format": "date-time"})] | None = None
    """When it ended."""

    request: str | None = None
    """The value of the annotation that it answers to; another value asks again."""

    result: str | None = None
    """`Sound`: every file is what it should be. `Damaged`: some are not; those of a cache that the
    operator fills are pulled again. `Failed`: it could not be verified.
    """

    message: str | None = None
    """The same in a sentence, with the files that are damaged."""

    key: str | None = None
    """Key of the artifact that was verified."""

    digest: str | None = None
    """Digest of all files, `sha256:…`, where it was found out."""


class ModelStatus(ApiModel):
    """What the operator found. Written by the operator only."""

    observed_generation: int | None = None
    """The `metadata.generation` that this status speaks about."""

    conditions: Conditions = Field(default_factory=list)
    """`Ready`: the model answers. `Cached`: its weights are on the volume. `Reconciling`: work
    goes on. `Stalled`: somebody has to act; the message says how. `NameConflict`: requests that
    use a name of this Model go to an older one. `ReplicasLimited`: fewer runners run than are
    wanted, since one node alone can mount the cache volume and has no room for more.
    """

    phase: str | None = None
    """One word: Pending, Resolving, Pulling, Starting, Ready, Idle, Failed or Terminating."""

    endpoint: str | None = None
    """Address of the model inside the cluster, e.g. `http://smollm2.ml.svc:80`. The OpenAI API
    is below `/v1`.
    """

    engine: str | None = None
    """The engine that serves the model, e.g. llama.cpp."""

    artifact: ArtifactStatus | None = None
    """The weights, as they were found at the source."""

    source: SourceStatus | None = None
    """The version of the source that is wanted; absent for a first version that nobody asked to
    keep up to date.
    """

    verified: VerifiedStatus | None = None
    """The last verification of these weights; absent while none was asked for."""

    download: DownloadStatus | None = None
    """The pull of the weights, while it runs."""

    startup: StartupStatus | None = None
    """The last cold start by stage."""

    replicas: int | None = None
    """Runner pods that there should be."""

    ready_replicas: int | None = None
    """Runner pods that answer requests."""

    last_used_time: Annotated[str, Extend({"format": "date-time"})] | None = None
    """When the last request began or ended, as the runners tell it; brought up to date at most
    once a minute.
    """

    idle_deadline: Annotated[str, Extend({"format": "date-time"})] | None = None
    """When the model goes to sleep unless somebody uses it before; absent where it never does."""

    activation: ActivationStatus | None = None
    """How requests wait at the gateway while the model wakes."""

    limits: LimitsStatus | None = None
    """How many requests the gateway lets through; absent without limits."""


class UnusedCacheStatus(ApiModel):
    """A cache claim that no Model refers to and no pod mounts."""

    claim: str
    """Name of the PersistentVolumeClaim."""

    source: str | None = None
    """Where its weights are from."""

    size: str | None = None
    """Size of the claim for people, e.g. `2.1 GiB`."""

    since: Annotated[str, Extend({"format": "date-time"})]
    """When the operator first found it unused."""

    deleted_after: Annotated[str, Extend({"format": "date-time"})] | None = None
    """When it is deleted, unless a Model wants it before; absent where it never is."""


class RunnerCacheStatus(ApiModel):
    """The cache claims that were made for Models of this runner."""

    claims: int | None = None
    """How many there are."""

    size_bytes: int | None = None
    """Size of all of them, in bytes."""

    size: str | None = None
    """The same for people, e.g. `41.3 GiB`."""

    unused_claims: int | None = None
    """How many of them nobody uses."""

    unused: Annotated[list[UnusedCacheStatus], Field(max_length=20), list_type("map", "claim")] = (
        Field(default_factory=list)
    )
    """Those, at most 20, the longest unused first. They are listed without `cache.ttl`, too, so that
    one can see what it would delete.
    """


class ModelRunnerStatus(ApiModel):
    """What the operator found. Written by the operator only."""

    observed_generation: int | None = None
    """The `metadata.generation` that this status speaks about."""

    conditions: Conditions = Field(default_factory=list)
    """`Ready`: the settings can be used. `Stalled`: somebody has to act; the message says how."""

    models: int | None = None
    """Models that refer to this runner."""

    ready_models: int | None = None
    """How many of them are Ready."""

    cache: RunnerCacheStatus | None = None
    """The cache claims of its Models, and which of them nobody uses; absent without any."""
