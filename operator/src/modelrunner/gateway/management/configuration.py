"""Docker Model Runner's configuration of a model, and the spec of a Model: each from the other. Pure."""

from typing import Any

from modelrunner.domain.objects import Object, dig, text
from modelrunner_protocol.configure import Configuration, Speculative
from modelrunner_protocol.durations import format_keep_alive, parse_keep_alive
from modelrunner_protocol.flags import FlagError, split_flags


def spec_of(configuration: Configuration, mode: str = "") -> dict[str, Any]:
    """The part of a Model's spec that says this; what is not said is not there.

    `speculative.draft_model` is the name of a Model here. `mode` is "" for none.
    """
    speculative = configuration.speculative
    flags = configuration.runtime_flags
    config = _said(
        mode=mode or None,
        contextSize=configuration.context_size,
        runtimeFlags=None if flags is None else list(flags),
        speculative=_said(
            draftModel=speculative.draft_model,
            numTokens=speculative.num_tokens,
            minAcceptanceRate=speculative.min_acceptance_rate,
        )
        if speculative
        else None,
        llamacpp=_said(reasoningBudget=configuration.reasoning_budget) or None,
    )
    keep_alive = configuration.keep_alive
    return _said(
        config=config or None,
        keepAlive=None if keep_alive is None else format_keep_alive(keep_alive),
    )


def configuration_of(spec: Object) -> Configuration:
    """What a Model's spec, or a part of one, says; what cannot be read is not said."""
    config = spec.get("config")
    draft = text(config, "speculative", "draftModel")
    return Configuration(
        context_size=_whole(dig(config, "contextSize")),
        runtime_flags=_flags(config),
        speculative=Speculative(
            draft_model=draft,
            num_tokens=_whole(dig(config, "speculative", "numTokens")),
            min_acceptance_rate=_number(dig(config, "speculative", "minAcceptanceRate")),
        )
        if draft
        else None,
        keep_alive=keep_alive_of(spec),
        reasoning_budget=_whole(dig(config, "llamacpp", "reasoningBudget")),
    )


def keep_alive_of(spec: Object) -> float | None:
    """Seconds of a spec's own keepAlive; None where it has none: the ModelRunner's counts."""
    try:
        return parse_keep_alive(text(spec, "keepAlive"))
    except ValueError:
        return None


def _flags(config: Any) -> tuple[str, ...] | None:
    found = dig(config, "runtimeFlags")
    if isinstance(found, list):
        return tuple(flag for flag in found if isinstance(flag, str))
    raw = text(config, "rawRuntimeFlags")
    try:
        return split_flags(raw) if raw else None
    except FlagError:
        return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _said(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
