"""What the API server cannot check of a Model and its ModelRunner."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from modelrunner.api.v1alpha1.common import DNS_LABEL
from modelrunner.domain import podtemplate
from modelrunner.domain.effective import Effective
from modelrunner.domain.expressions import ExpressionError, Variables, expand
from modelrunner.domain.problem import Problem
from modelrunner_protocol.flags import FlagError, check_flags, mode_of
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import NO_IMAGES, Mode

ENGINE: Final = "llama.cpp"
_TOLD: Final = 3
_LABEL: Final = re.compile(DNS_LABEL)
T = TypeVar("T", bound=BaseModel)


class ConfigurationError(ValueError):
    """Settings that cannot be used; the message says what to change."""

    @property
    def problem(self) -> Problem:
        """The same as a condition's reason and message."""
        return Problem(Reason.INVALID_CONFIGURATION, str(self))


def read(kind: type[T], obj: Any) -> T:
    """An object as the API's type.

    Raises:
        ConfigurationError: stored under a schema that allowed what this version does not.
    """
    try:
        return kind.model_validate(obj)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        words = str(found["msg"]).removeprefix("Value error, ")
        raise ConfigurationError(f"{where}: {words}") from error


def check(effective: Effective) -> None:
    """Accept the settings of a Model, or say what is wrong with them.

    Raises:
        ConfigurationError: see the message.
    """
    found = list(islice(_faults(effective), _TOLD))
    if found:
        raise ConfigurationError("; ".join(found))


def check_runner(env: list[dict[str, Any]], pod_template: dict[str, Any]) -> None:
    """Accept what a ModelRunner says for itself, whichever Model will use it.

    Raises:
        ConfigurationError: see the message.
    """
    anyone = Variables(model="model", namespace="namespace", runner="runner")
    found = list(islice(_template_faults(env, pod_template, anyone), _TOLD))
    if found:
        raise ConfigurationError("; ".join(found))


def _faults(effective: Effective) -> Iterator[str]:
    if not _LABEL.fullmatch(effective.name):
        yield (
            f"metadata.name: {effective.name} cannot be the name of a Service: create the Model again"
            ' under a name of at most 63 lower-case letters, digits and "-"'
        )
    try:
        check_flags(ENGINE, effective.runtime_flags)
    except FlagError as error:
        yield f"spec.config: {error}"
    yield from _mode_faults(effective)
    yield from _scaling_faults(effective)
    variables = Variables(
        model=effective.name, namespace=effective.namespace, runner=effective.runner
    )
    for fault in _template_faults(list(effective.env), effective.pod_template, variables):
        yield f"ModelRunner {effective.runner}: {fault}"


def _mode_faults(effective: Effective) -> Iterator[str]:
    mode, meant = effective.mode, mode_of(effective.runtime_flags)
    if mode is Mode.IMAGE_GENERATION:
        yield f"spec.config.mode: {NO_IMAGES}: use completion, embedding or reranking"
    elif meant not in {None, mode}:
        yield (
            f"spec.config: mode is {mode}, but a runtime flag starts the engine for {meant}: set"
            f" mode: {meant}, which sets the flag by itself, and remove the flag"
        )
    if effective.speculative is None:
        return
    if mode is not Mode.COMPLETION:
        yield "spec.config.speculative: only a model in mode completion uses a draft: remove it"
    if effective.speculative.draft_model == effective.name:
        yield "spec.config.speculative.draftModel: it names this Model: name a smaller one"


def _scaling_faults(effective: Effective) -> Iterator[str]:
    """The API server has compared the two bounds within each object, not across both."""
    low, high = effective.scaling.min_replicas, effective.scaling.max_replicas
    if low > high:
        yield (
            f"spec.scaling: of the Model and ModelRunner {effective.runner} together, minReplicas"
            f" {low} is more than maxReplicas {high}: lower the one or raise the other"
        )


def _template_faults(
    env: list[dict[str, Any]], pod_template: dict[str, Any], variables: Variables
) -> Iterator[str]:
    yield from podtemplate.faults(pod_template)
    for value, path in ((env, "spec.env"), (pod_template, "spec.podTemplate")):
        try:
            expand(value, variables, path)
        except ExpressionError as error:
            yield str(error)
