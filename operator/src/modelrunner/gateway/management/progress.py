"""What a client is told while a Model is pulled: from its entry in the route table. Pure."""

from dataclasses import dataclass
from typing import Final

from modelrunner.api.v1alpha1.values import ConditionType
from modelrunner.domain.objects import condition, is_true, number, text
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.models import is_current
from modelrunner_protocol.reasons import PROGRESSING, Reason

_PENDING: Final = "the Model was made: waiting for the operator"
_SILENT_SINCE: Final = ("download", "stalledSince")
_TROUBLES: Final = frozenset(Reason) - PROGRESSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulling:
    """It goes on. `digest` is the artifact's, "" while that is not known.

    `message` is a sentence about what happens; `troubled`: it is about what went wrong and is
    tried again, or about a source that has fallen silent.
    """

    message: str
    digest: str = ""
    completed: int = 0
    total: int = 0
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Pulled:
    """The weights are there; `size` in bytes. `here`: they were, and the source has not moved."""

    size: int
    here: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It stays so until somebody acts: the condition's reason and message."""

    reason: str
    message: str

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


Progress = Pulling | Pulled | Failed

GONE: Final = Failed("Deleted", "the Model was deleted while it was pulled")


def progress_of(entry: ModelEntry | None) -> Progress:
    """How far a Model is; None: the API server has not told of it yet."""
    if entry is None:
        return Pulling(message=_PENDING)
    if entry.gone:
        return GONE
    trouble, cached = entry.trouble, condition({"status": entry.status}, ConditionType.CACHED)
    if trouble is None and cached is not None and cached.get("status") == "False":
        # What serves are weights that the source has moved away from.
        told = text(cached, "reason"), text(cached, "message")
        return stalled(entry) or _pulling(entry, *told)
    if trouble is None or is_true({"status": entry.status}, ConditionType.CACHED):
        return Pulled(number(entry.status, "artifact", "sizeBytes"))
    if trouble.hopeless or trouble.reason == Reason.TERMINATING:
        return Failed(trouble.reason, trouble.message)
    return _pulling(entry, trouble.reason, trouble.message)


def stalled(entry: ModelEntry) -> Failed | None:
    """Why nothing goes on until somebody acts; None when something does.

    After an edit nobody knows yet.
    """
    found = condition({"status": entry.status}, ConditionType.STALLED)
    if found is None or found.get("status") != "True" or not is_current(found, entry.generation):
        return None
    return Failed(text(found, "reason"), text(found, "message"))


def _pulling(entry: ModelEntry, reason: str, message: str) -> Pulling:
    total = number(entry.status, "download", "totalBytes")
    return Pulling(
        message=message or reason,
        digest=text(entry.status, "artifact", "digest"),
        completed=min(number(entry.status, "download", "completedBytes"), total),
        total=total or number(entry.status, "artifact", "sizeBytes"),
        troubled=reason in _TROUBLES or bool(text(entry.status, *_SILENT_SINCE)),
    )
