"""Model: what to run; written by a user."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from modelrunner.api.annotations import Rule, Rules, list_type, matches, rules
from modelrunner.api.v1alpha1.common import ApiModel, KeepAlive, LabelName, ObjectMeta
from modelrunner.api.v1alpha1.scaling import Limits, Scaling
from modelrunner.api.v1alpha1.sources import ModelSource
from modelrunner.api.v1alpha1.status import ModelStatus
from modelrunner_protocol.wire import Mode

ONE_FLAG_FORM = "set runtimeFlags (a list) or rawRuntimeFlags (one line), not both"
DRAFT_FOR_TEXT = "speculative is for the mode completion: remove it, or the mode"


class LlamaCppConfig(ApiModel):
    """Settings that only llama.cpp has."""

    reasoning_budget: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None
    """Tokens that a reasoning model may think for: -1 without a bound, 0 not at all. Default:
    the engine's.
    """


class SpeculativeConfig(ApiModel):
    """A small model that writes ahead of the large one, which then only checks what it wrote.

    The answers are those of the large model alone, but they come sooner where the small one is
    often right.
    """

    draft_model: LabelName
    """Name of another Model in this namespace: of the same family, with the same vocabulary. Its
    weights are read where its own cache has them, so both caches must be reachable from one node.
    Its own runner need not be awake. A changed source of it restarts this model.
    """

    num_tokens: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many tokens it writes ahead at most. Default: the engine's."""

    min_acceptance_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """How probable, from 0 to 1, a token must seem to the draft model for it to write on. More:
    fewer tokens are written in vain. Default: the engine's.
    """


class ModelConfig(ApiModel):
    """How the engine runs the model."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("!(has(self.runtimeFlags) && has(self.rawRuntimeFlags))", ONE_FLAG_FORM),
            Rule(
                "!has(self.speculative) || !has(self.mode) || self.mode == 'completion'",
                DRAFT_FOR_TEXT,
            ),
        )
    )

    mode: Mode | None = None
    """`completion`: chat and text completion. `embedding`: vectors. `reranking`: how well
    documents fit a query, with weights made for that. `image-generation`: no engine does that
    yet, so it is told as InvalidConfiguration. Where a runtime flag says it (`--embeddings`,
    `--reranking`), the mode may be left out. Default: completion.
    """

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

    speculative: SpeculativeConfig | None = None
    """A second, smaller model that makes this one faster. How often it is right is in the runner's
    metrics: `llamacpp:spec_decode_num_accepted_tokens_total` of
    `llamacpp:spec_decode_num_draft_tokens_total`. Default: none.
    """

    llamacpp: LlamaCppConfig | None = None
    """Settings that only llama.cpp has."""

    @model_validator(mode="after")
    def _one_flag_form(self) -> Self:
        if self.runtime_flags is not None and self.raw_runtime_flags is not None:
            raise ValueError(ONE_FLAG_FORM)
        if self.speculative is not None and self.mode not in {None, Mode.COMPLETION}:
            raise ValueError(DRAFT_FOR_TEXT)
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
    `ai/smollm2:135M-Q4_0`. The Model's own name always works. The gateway knows a new one at once,
    and no runner is restarted for it: asked directly, a runner goes by those that it was made with.
    Default: none.
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
