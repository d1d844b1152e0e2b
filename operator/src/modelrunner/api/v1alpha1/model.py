"""Model: what to run; written by a user."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from modelrunner.api.annotations import Rule, Rules, list_type, matches, rules
from modelrunner.api.v1alpha1.common import ApiModel, KeepAlive, LabelName, ObjectMeta, ObjectName
from modelrunner.api.v1alpha1.scaling import Limits, Scaling
from modelrunner.api.v1alpha1.status import ModelStatus
from modelrunner_protocol.wire import Mode

ONE_SOURCE = (
    "set exactly one source: oci (an artifact in a registry), http (a URL) or"
    " persistentVolumeClaim (a file on a volume you filled)"
)
CREDENTIALS_FOR_NOTHING = (
    "credentialsSecret holds the credentials of a registry: set it beside oci, or remove it"
)
ONE_FLAG_FORM = "set runtimeFlags (a list) or rawRuntimeFlags (one line), not both"


class HttpSource(ApiModel):
    """One file behind a URL that needs no credentials."""

    url: Annotated[
        str,
        Field(max_length=2048),
        Rules(
            Rule(
                "isURL(self) && url(self).getScheme() in ['http', 'https']"
                " && url(self).getHostname() != ''",
                "use an http:// or https:// URL with a host, such as "
                '"https://models.example.com/smollm2.gguf"',
            ),
            Rule(
                "!" + matches("^[A-Za-z]+://[^/?#]*@"),
                "the URL holds a user name or password, which everyone who may read Models could "
                "read: remove it and serve the file where no login is needed",
            ),
        ),
    ]
    """The file's address, http:// or https://, without user name and password. Redirects are
    followed to http and https only.
    """

    sha256: (
        Annotated[
            str,
            Field(max_length=128),
            Rules(
                Rule(
                    matches("^[0-9a-f]{64}$"),
                    "use the 64 lower-case hexadecimal digits that sha256sum prints, without a prefix",
                )
            ),
        ]
        | None
    ) = None
    """SHA-256 of the file, 64 lower-case hexadecimal digits. A file with another digest is
    refused as PullFailed. Default: not checked.
    """


_PART = r"[A-Za-z0-9]+((\.|_{1,2}|-+)[A-Za-z0-9]+)*"
_REFERENCE = (
    f"^([A-Za-z0-9.-]+(:[0-9]{{1,5}})?/)?{_PART}(/{_PART})*"
    "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)


class OciSource(ApiModel):
    """An artifact in a registry, as `docker model package` and `runnerd package` make it."""

    reference: Annotated[
        str,
        Field(max_length=512),
        Rules(
            Rule(
                matches(_REFERENCE)
                + " && !self.matches('^([0-9a-f]{12}|[0-9a-f]{64}|sha256:[0-9a-f]{64})$')",
                'use a reference such as "ai/smollm2:135M-Q4_0", "registry.example.com/team/model:v1"'
                ' or one that ends in "@sha256:" and 64 hexadecimal digits; no "https://"',
            )
        ),
    ]
    """The artifact's name. Without a registry the Docker Hub is meant, without an organization
    `ai/`, without a tag or digest `:latest`. A tag is followed once, when the weights are pulled.
    """

    insecure: bool | None = None
    """Whether the registry is spoken to over plain http, where everybody on the way can read
    credentials. Default: false, https only.
    """


class ClaimSource(ApiModel):
    """A file on a volume that somebody else filled. It is used in place and never written."""

    name: ObjectName
    """Name of the PersistentVolumeClaim, in the Model's namespace."""

    path: Annotated[
        str,
        Field(max_length=1024),
        Rules(
            Rule(
                r"!self.matches(r'(^|/)\.{0,2}(/|$)') && !self.matches(r'[\x00-\x1f\x7f\\]')",
                'use a path below the volume\'s root, such as "smollm2/model.gguf": no leading or '
                'trailing "/", no ".."',
            )
        ),
    ]
    """The model file, relative to the volume's root; of several shards the first."""


class ModelSource(ApiModel):
    """Where the weights come from; exactly one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.oci), has(self.http), has(self.persistentVolumeClaim)].exists_one(x, x)",
                ONE_SOURCE,
            ),
            Rule("!has(self.credentialsSecret) || has(self.oci)", CREDENTIALS_FOR_NOTHING),
        )
    )

    oci: OciSource | None = None
    """An artifact in a registry, downloaded once into the cache."""

    http: HttpSource | None = None
    """A file that is downloaded once into the cache."""

    persistent_volume_claim: ClaimSource | None = None
    """A file on a volume of this namespace, used in place."""

    credentials_secret: ObjectName | None = None
    """Name of a Secret of type kubernetes.io/dockerconfigjson, in the Model's namespace, with the
    credentials of the registry. It is mounted into the Jobs that look at and pull the artifact,
    and nowhere else; the operator never reads it. Default: none, for public artifacts.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.oci, self.http, self.persistent_volume_claim].count(None) != 2:
            raise ValueError(ONE_SOURCE)
        if self.credentials_secret is not None and self.oci is None:
            raise ValueError(CREDENTIALS_FOR_NOTHING)
        return self


class LlamaCppConfig(ApiModel):
    """Settings that only llama.cpp has."""

    reasoning_budget: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None
    """Tokens that a reasoning model may think for: -1 without a bound, 0 not at all. Default:
    the engine's.
    """


class ModelConfig(ApiModel):
    """How the engine runs the model."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("!(has(self.runtimeFlags) && has(self.rawRuntimeFlags))", ONE_FLAG_FORM)
        )
    )

    mode: Mode | None = None
    """`completion`: chat and text completion. `embedding`: vectors. Default: completion."""

    context_size: (
        Annotated[
            int,
            Field(ge=-1, le=2**31 - 1),
            Rules(
                Rule(
                    "self != 0",
                    "use a number of tokens of at least 1, or -1 for the model's own maximum",
                )
            ),
        ]
        | None
    ) = None
    """Tokens that a conversation may hold, prompt and answer together; more needs more memory.
    -1: the model's own maximum. Default: the engine's.
    """

    runtime_flags: (
        Annotated[
            list[Annotated[str, Field(max_length=4096)]],
            Field(max_length=256),
            list_type("atomic"),
        ]
        | None
    ) = None
    """Flags for the engine, one word an item, e.g. `["--temp", "0.2"]`. Which flags may be set is
    listed in docs/reference/runtime-flags.md; another one is told as InvalidConfiguration.
    Default: none.
    """

    raw_runtime_flags: Annotated[str, Field(max_length=16384)] | None = None
    """The same on one line, split like a shell does, e.g. `--temp 0.2`; instead of runtimeFlags.
    Default: none.
    """

    llamacpp: LlamaCppConfig | None = None
    """Settings that only llama.cpp has."""

    @model_validator(mode="after")
    def _one_flag_form(self) -> Self:
        if self.runtime_flags is not None and self.raw_runtime_flags is not None:
            raise ValueError(ONE_FLAG_FORM)
        return self


class Warmup(ApiModel):
    """A first request that the runner answers to itself, so that no user waits for it."""

    enabled: bool | None = None
    """Whether the model is asked once before it counts as ready. Default: true."""

    prompt: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """What it is asked. Default: Hello."""


class ModelSpec(ApiModel):
    """What to run, and from where."""

    runner: LabelName | None = None
    """Name of the ModelRunner, in this namespace, that says how and where the model runs.
    Default: the one named `default`.
    """

    source: ModelSource
    """Where the weights come from. A changed source is pulled and then served."""

    aliases: (
        Annotated[
            list[
                Annotated[
                    str,
                    Field(max_length=255),
                    Rules(
                        Rule(
                            matches("^[A-Za-z0-9]([A-Za-z0-9._:/@-]*[A-Za-z0-9])?$")
                            + " && !self.contains('//')",
                            'use letters, digits and ".", "_", "-", ":", "/", "@", with a letter or '
                            'digit at both ends, such as "gpt-4o-mini" or "ai/smollm2:135M-Q4_0"',
                        )
                    ),
                ]
            ],
            Field(max_length=32),
            list_type("set"),
        ]
        | None
    ) = None
    """Other names that requests may use in their `model` field, e.g. `gpt-4o-mini` or
    `ai/smollm2:135M-Q4_0`. The Model's own name always works. Default: none.
    """

    config: ModelConfig | None = None
    """How the engine runs the model. Default: the engine's own settings."""

    keep_alive: KeepAlive | None = None
    """How long the model stays loaded after its last request: a duration such as `10m`, `0` to
    unload as soon as idle, `-1` for ever. Then its runners are stopped (see scaling.minReplicas).
    `keep_alive` in a request counts instead until a request names another, or the runner ends. A
    runner that nobody has asked yet stays for a minute at least. Default: the ModelRunner's.
    """

    scaling: Scaling | None = None
    """Between which bounds the model scales, field by field over the ModelRunner's."""

    limits: Limits | None = None
    """How many requests the gateway lets through, field by field over the ModelRunner's."""

    warmup: Warmup | None = None
    """A first request that the runner answers to itself before the Model is Ready."""


class Model(ApiModel):
    """A language model to serve: its weights and settings.

    The ModelRunner that it names says how and where it runs.
    """

    api_version: Literal["modelrunner.dev/v1alpha1"] = "modelrunner.dev/v1alpha1"
    kind: Literal["Model"] = "Model"
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: ModelSpec
    status: ModelStatus = Field(default_factory=ModelStatus)
