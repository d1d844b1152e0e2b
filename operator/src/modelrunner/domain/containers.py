"""What the kubelet says of a pod's containers, as a reason and a sentence.

Shared by runner pods and by the pods of Jobs. Texts of the kubelet that count up ("back-off
20s") are left out: each new number would be a write to the API server.
"""

import re
from typing import Final

from modelrunner.domain.conditions import shorten
from modelrunner.domain.objects import Object, dig, items, name_of, number, text
from modelrunner.domain.problem import Problem
from modelrunner_protocol.codec import WireError, decode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Outcome

IMAGE_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
CREATION_REASONS: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
_REASONS_OF_A_RESTARTED_NODE: Final = frozenset({"Unknown", "ContainerStatusUnknown"})
_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_MESSAGE_LENGTH: Final = 2000


def statuses(pod: Object) -> list[Object]:
    """Init containers first: while one of them fails, no other container starts."""
    return [
        *items(pod, "status", "initContainerStatuses"),
        *items(pod, "status", "containerStatuses"),
    ]


def outcome_of(message: str) -> Outcome | None:
    """The `Outcome` in a termination message; None where the text is something else.

    Without last words of its own the kubelet takes a container's last log lines, and those of
    runnerd are JSON, too.
    """
    if not message.lstrip().startswith("{"):
        return None
    try:
        found = decode(Outcome, message)
    except WireError:
        return None
    return found if found.reason is not None or found.artifact is not None else None


def waiting_problem(pod: Object) -> Problem | None:
    """Why a container of the pod cannot be created or its image not be pulled."""
    for status in statuses(pod):
        waiting = dig(status, "state", "waiting")
        reason = text(waiting, "reason")
        if reason in IMAGE_REASONS:
            return _image_problem(status, text(waiting, "message"))
        if reason in CREATION_REASONS:
            return Problem(
                Reason.INVALID_CONFIGURATION,
                f"container {text(status, 'name')} of pod {name_of(pod)} cannot be created"
                f" ({reason}): {_cut(text(waiting, 'message'))}",
            )
    return None


def crash_problem(pod: Object) -> Problem | None:
    """How a container that is not ready ended the last time, if it ended badly."""
    for status in statuses(pod):
        if status.get("ready") is True:
            continue
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
        if ended is not None and failed(ended):
            return explain_end(pod, status, ended)
    return None


def failed(terminated: Object) -> bool:
    """Whether a termination is the container's own fault; a restart of the node is not."""
    if text(terminated, "reason") in _REASONS_OF_A_RESTARTED_NODE:
        return False
    return number(terminated, "exitCode") != 0 or number(terminated, "signal") != 0


def explain_end(pod: Object, status: Object, terminated: Object) -> Problem:
    """A container's end in words: out of memory, its own last words, or its exit code."""
    name = text(status, "name")
    if text(terminated, "reason") == "OOMKilled":
        return Problem(Reason.OUT_OF_MEMORY, _memory_message(pod, name))
    message = text(terminated, "message")
    outcome = outcome_of(message)
    if outcome is not None and outcome.reason is not None:
        return Problem(outcome.reason, _cut(outcome.message))
    words = text(terminated, "reason") or "Error"
    said = f": {_cut(message)}" if message.strip() else "; it left no message: see its log"
    return Problem(
        Reason.CRASH_LOOPING,
        f"container {name} of pod {name_of(pod)} ended with exit code"
        f" {number(terminated, 'exitCode')} ({words}){said}",
    )


def memory_limit(pod: Object, container: str) -> str:
    """The memory limit of a container as written, or ""."""
    for spec in items(pod, "spec", "containers"):
        if spec.get("name") == container:
            return text(spec, "resources", "limits", "memory")
    return ""


def _memory_message(pod: Object, container: str) -> str:
    limit = memory_limit(pod, container)
    held = f"its limit of {limit}" if limit else "the node's memory"
    return (
        f"container {container} of pod {name_of(pod)} was killed because it needed more than {held}:"
        " raise spec.resources.limits.memory of the ModelRunner, lower spec.config.contextSize of the"
        " Model, or use a smaller quantization"
    )


def _image_problem(status: Object, message: str) -> Problem:
    # The kubelet says the cause in turns as ErrImagePull and behind ImagePullBackOff's own words;
    # without them both are one text, and the condition does not flap.
    cause = _BACK_OFF.sub("", message).removeprefix("ErrImagePull: ")
    said = f": {_cut(cause)}" if cause else ""
    return Problem(
        Reason.IMAGE_PULL_FAILED,
        f"the image {text(status, 'image')} of container {text(status, 'name')} cannot be pulled{said}."
        " Check its name and tag, that the node can reach the registry, and the imagePullSecrets in"
        " spec.podTemplate of the ModelRunner",
    )


def _cut(message: str) -> str:
    return shorten(message.strip(), _MESSAGE_LENGTH)
