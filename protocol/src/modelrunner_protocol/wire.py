"""What the operator tells a runner, and what a runner tells the operator.

All messages are frozen dataclasses, carried as JSON by `codec`. Sizes are bytes, times are
seconds; points in time are seconds since the Unix epoch.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrunner_protocol.reasons import Reason

RUN_CONFIG_VARIABLE: Final = "RUNNERD_CONFIG"
"""Environment variable that holds a `RunConfig` for `runnerd run`."""

PULL_CONFIG_VARIABLE: Final = "RUNNERD_PULL"
"""Environment variable that holds a `PullConfig` for `runnerd resolve` and `runnerd pull`."""

PORT: Final = 8080
"""The one port of a runner pod and of a pull pod."""

PORT_NAME: Final = "http"
CACHE_MOUNT: Final = "/models"
DRAFT_MOUNT: Final = "/draft"
"""Where a runner pod has the cache of its draft model."""

CREDENTIALS_MOUNT: Final = "/credentials"
"""Folder of a pull pod that holds the user's `config.json`."""

TERMINATION_LOG: Final = "/dev/termination-log"
TERMINATION_LOG_LIMIT: Final = 4096
"""Bytes that the kubelet keeps of a container's termination message."""


PROGRESS_PATH: Final = "/progress"
"""GET on a pull pod: a `Progress`."""


RESOLVED_HEADER: Final = "X-Model-Resolved"
"""On a gateway's request to a runner whose body names the model otherwise than by its own name:
`namespace/name` of the Model that the name belongs to. A runner learns of a new alias only when it
starts; the gateway knows it at once, and which of two Models has it."""


class FileKind(StrEnum):
    """What a file of an artifact is for."""

    WEIGHTS = ""
    PROJECTOR = "projector"
    CHAT_TEMPLATE = "chatTemplate"
    LICENSE = "license"
    CONFIG = "config"
    """Settings and tokenizer, which an engine reads beside safetensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """One file of an artifact; `path` is relative to the artifact's folder.

    `etag` is the version of the file where its store tells no digest of it.
    """

    path: str
    size_bytes: int
    sha256: str = ""
    kind: FileKind = FileKind.WEIGHTS
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What a source turned out to hold. `digest` is "sha256:<hex>", "" until it is known.

    `revision` is the commit that a branch or a tag stood for. `memory_bytes` is an estimate of what
    an engine needs to run it with its default settings, None where nobody can tell; of safetensors
    whose layers are not known it is the least: weights without a cache of tokens.
    The model file comes first in `files`, its further shards in their order. Where there is too
    little room for all (a termination message), the last ones are left out: `size_bytes` counts
    them nevertheless.
    """

    format: str
    size_bytes: int
    files: tuple[WeightsFile, ...]
    digest: str = ""
    architecture: str = ""
    parameters: str = ""
    quantization: str = ""
    context_size: int | None = None
    abilities: tuple[str, ...] = ()
    etag: str = ""
    revision: str = ""
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """One file behind an http(s) URL; `sha256` is lower-case hex or "" when not given."""

    url: str
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSource:
    """A file on a volume that somebody else filled; `path` is relative to its root."""

    claim: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OciSource:
    """An artifact in a registry; `reference` is normalised (`references.normalize`).

    `insecure`: the registry is spoken to over plain http.
    """

    reference: str
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceSource:
    """A model in a repository of the Hugging Face Hub (`owner/name`).

    `revision` is a branch, a tag or a commit, "" for the main branch. `quantization` is part of a
    file's name ("Q4_K_M"). `files` and `ignored` are patterns of paths, as `fnmatch` has them;
    without `files` all are allowed.
    """

    repository: str
    revision: str = ""
    quantization: str = ""
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Source:
    """A model in a bucket of S3, or of a store that speaks its language.

    `prefix` is an object that ends in ".gguf" or a folder without slashes at its ends, "" for the
    whole bucket. `endpoint` is the store's URL, "" for Amazon's; `region` "" for what the
    environment says. `insecure`: the store may be spoken to over plain http. The rest is as for
    `HuggingFaceSource`, with paths relative to the folder.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    insecure: bool = False
    quantization: str = ""
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsSource:
    """A model in a bucket of Google Cloud Storage.

    `endpoint` is the URL of another server that speaks its XML API, "" for Google's. The rest is as
    for `S3Source`.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    insecure: bool = False
    quantization: str = ""
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSource:
    """A model in a container of Azure Blob Storage.

    `account` is the storage account. `endpoint` is the URL of its blobs where that is not
    `https://<account>.blob.core.windows.net`, without the container. The rest is as for `S3Source`.
    """

    account: str
    container: str
    prefix: str = ""
    endpoint: str = ""
    insecure: bool = False
    quantization: str = ""
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where weights come from; exactly one field is set.

    A new kind changes no key of another: what is not set is not encoded.
    """

    http: HttpSource | None = None
    claim: ClaimSource | None = None
    oci: OciSource | None = None
    hugging_face: HuggingFaceSource | None = None
    s3: S3Source | None = None
    gcs: GcsSource | None = None
    azure: AzureSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user's Secret in `folder`; `secret` is where it comes from, for messages.

    For a registry it holds a docker `config.json`, for the Hub a file `token`, for S3 and Azure
    files that are named like the variables of their tools, for Google a `service-account.json`.
    """

    secret: str
    folder: str = CREDENTIALS_MOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class PullConfig:
    """The work of `runnerd resolve` and `runnerd pull`.

    `key` names the artifact's folder below `root`. `expected` is what `resolve` found; a
    pull that meets something else fails. A `ClaimSource` is only resolved, never pulled.
    """

    source: Source
    key: str
    root: str = CACHE_MOUNT
    expected: Artifact | None = None
    credentials: Credentials | None = None
    port: int = PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How `runnerd resolve` or `runnerd pull` ended: its termination message.

    Failures carry a reason, a message that says what to do, and whether trying the same
    again later may help. `cached`: the cache holds all of it already, so nothing has to be pulled.
    `seconds`, `downloaded_bytes` and `retries` are what this one Job took, whatever became of it; the
    last two are those of a pull, a resolve leaves them at 0.
    `missing_bytes`: so much more room the volume would have to have. `damaged`: a verification has
    found that what is there is not what it should be.
    """

    artifact: Artifact | None = None
    reason: Reason | None = None
    message: str = ""
    retryable: bool = False
    downloaded_bytes: int = 0
    cached: bool = False
    seconds: float = 0.0
    retries: int = 0
    missing_bytes: int = 0
    damaged: bool = False


class PullPhase(StrEnum):
    """What a pull is doing."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a pull is. `bytes_per_second` and `eta_seconds` are None until measured.

    `message` says why a pull makes no way ("the server answered 503 ..."); "" when it does.
    `idle_seconds`: so long no byte has come; None while none is waited for. `resumed_bytes` are
    those of `completed_bytes` that an earlier pull had left.
    """

    phase: PullPhase
    completed_bytes: int = 0
    total_bytes: int | None = None
    bytes_per_second: float | None = None
    eta_seconds: float | None = None
    message: str = ""
    idle_seconds: float | None = None
    resumed_bytes: int = 0


class Mode(StrEnum):
    """What an engine is started for (docker/model-runner `ParseBackendMode`).

    No engine here makes images: that mode is known by name, so that it can be refused in words.
    """

    COMPLETION = "completion"
    EMBEDDING = "embedding"
    RERANKING = "reranking"
    IMAGE_GENERATION = "image-generation"


NO_IMAGES: Final = "no engine here makes images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """The request that a runner answers to itself before it says that it is ready."""

    enabled: bool = True
    prompt: str = "Hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A small model that writes ahead of a large one, which only checks what it wrote.

    `weights` is the absolute path of its model file. `max_tokens`: how far ahead at most;
    `min_probability` (0 to 1): how sure it must be of a token to go on. None: the engine's choice.
    """

    weights: str
    max_tokens: int | None = None
    min_probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What one runner pod serves: the work of `runnerd run`.

    `weights` is the absolute path of the model file (the first shard of several); `projector` and
    `chat_template` are those of the files that belong to it, "" when there is none.
    `runtime_flags` are already checked and split. A `draft` is for completion only.
    """

    model: str
    namespace: str
    runner: str
    engine: str
    weights: str
    projector: str = ""
    chat_template: str = ""
    mode: Mode = Mode.COMPLETION
    aliases: tuple[str, ...] = ()
    context_size: int | None = None
    runtime_flags: tuple[str, ...] = ()
    reasoning_budget: int | None = None
    draft: Draft | None = None
    warmup: Warmup = Warmup()
    startup_timeout: float = 1800.0
    drain_timeout: float = 120.0
    port: int = PORT
