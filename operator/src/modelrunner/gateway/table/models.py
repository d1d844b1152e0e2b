"""What a Model object says, read into its entry. Any JSON is read without an error."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.names import Claimant
from modelrunner.domain.naming import REFRESH_ANNOTATION
from modelrunner.domain.objects import (
    Object,
    annotation,
    being_deleted,
    condition,
    dig,
    name_of,
    number,
    text,
    uid_of,
)
from modelrunner.gateway.table.entry import (
    DEFAULT_HOLD_TIMEOUT,
    DEFAULT_MAX_HELD,
    ModelEntry,
    Trouble,
)
from modelrunner_protocol.flags import FlagError, mode_of, split_flags
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Mode

# These speak of what the next pods would be, not of the pods that are there.
_OF_THE_NEXT_PODS: Final = frozenset(
    {
        Reason.RUNNER_NOT_FOUND,
        Reason.INVALID_CONFIGURATION,
        Reason.NAME_CONFLICT,
        Reason.PULL_FAILED,
        Reason.UNSUPPORTED_FORMAT,
        Reason.CACHE_TOO_SMALL,
    }
)
_NOT_SEEN: Final = Trouble(
    "Pending", "the operator has not looked at this Model yet", hopeless=False
)


def place_of(model: Object) -> tuple[str, str] | None:
    """Namespace and name, None for what cannot be a stored Model."""
    namespace, name = text(model, "metadata", "namespace"), name_of(model)
    return (namespace, name) if namespace and name else None


def version_of(item: Object) -> str:
    """`metadata.resourceVersion`, to tell equal states apart from new ones."""
    return text(item, "metadata", "resourceVersion")


def claimant_of(entry: ModelEntry) -> Claimant:
    """The names that a Model wants."""
    return Claimant(entry.namespace, entry.name, entry.uid, entry.created, entry.aliases)


def read_model(model: Object, entry: ModelEntry) -> None:
    """Bring an entry up to date with its Model."""
    entry.uid = uid_of(model)
    entry.version = version_of(model)
    entry.generation = _generation(model)
    entry.created = text(model, "metadata", "creationTimestamp")
    entry.spec = _mapping(model.get("spec"))
    entry.status = _mapping(model.get("status"))
    entry.refresh = annotation(model, REFRESH_ANNOTATION)
    aliases = entry.spec.get("aliases")
    entry.aliases = tuple(filter(_is_text, aliases)) if isinstance(aliases, list) else ()
    entry.mode = _mode(_mapping(entry.spec.get("config")))
    entry.engine = text(entry.status, "engine")
    entry.phase = text(entry.status, "phase")
    entry.trouble = trouble_of(model)
    entry.asleep = _asleep(model)
    held = _count(dig(entry.status, "activation", "maxHeld"))
    entry.max_held = DEFAULT_MAX_HELD if held is None else held
    timeout = _seconds(dig(entry.status, "activation", "timeoutSeconds"))
    entry.hold_timeout = DEFAULT_HOLD_TIMEOUT if timeout is None else timeout
    entry.concurrent = _count(dig(entry.status, "limits", "concurrentRequests"))
    entry.per_minute = _count(dig(entry.status, "limits", "requestsPerMinute"))


def _mode(config: Mapping[str, Any]) -> str:
    """What a Model is for: its mode, else what a flag says."""
    if mode := text(config, "mode"):
        return mode
    flags, raw = config.get("runtimeFlags"), config.get("rawRuntimeFlags")
    words = tuple(filter(_is_text, flags)) if isinstance(flags, list) else ()
    if isinstance(raw, str):
        with contextlib.suppress(FlagError):
            words = split_flags(raw)
    return str(mode_of(words) or Mode.COMPLETION)


def trouble_of(model: Object) -> Trouble | None:
    """Why a Model does not serve; None when it is Ready, which it also is asleep.

    Hopeless is what the operator calls Stalled for the generation that is there now: after an
    edit nobody knows yet. A fault of the settings is not hopeless while there are pods: they
    come from the settings before, and serve when they are ready.
    """
    if being_deleted(model):
        return Trouble(str(Reason.TERMINATING), "the Model is being deleted", hopeless=True)
    ready = condition(model, ConditionType.READY)
    if ready is None:
        return _NOT_SEEN
    if ready.get("status") == "True":
        return None
    reason = text(ready, "reason") or "Unknown"
    stalled = condition(model, ConditionType.STALLED)
    hopeless = (
        stalled is not None
        and stalled.get("status") == "True"
        and is_current(stalled, _generation(model))
        and not (reason in _OF_THE_NEXT_PODS and number(model, "status", "replicas") > 0)
    )
    return Trouble(reason, text(ready, "message"), hopeless)


def _asleep(model: Object) -> bool:
    ready = condition(model, ConditionType.READY)
    return (
        ready is not None
        and ready.get("status") == "True"
        and ready.get("reason") == Reason.SCALED_TO_ZERO
    )


def is_current(found: Object, generation: int) -> bool:
    """Whether a condition, or a status, speaks of the settings that are there now."""
    return found.get("observedGeneration") == generation


def _generation(model: Object) -> int:
    return number(model, "metadata", "generation")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> int | None:
    """A bound; a negative one or any other type was never written by the operator."""
    return value if type(value) is int and value >= 0 else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and 0 < value < 1e9 else None
