"""Why something is not running: the reasons of conditions (DESIGN §3) and of wire messages."""

from enum import StrEnum


class Reason(StrEnum):
    """A condition's reason. A False condition always carries one of these."""

    # Normal states.
    READY = "Ready"
    SCALED_TO_ZERO = "ScaledToZero"
    CACHED = "Cached"

    # On the way.
    RESOLVING = "Resolving"
    PULLING = "Pulling"
    STARTING = "Starting"
    TERMINATING = "Terminating"

    # The user (or the platform team) has to act.
    RUNNER_NOT_FOUND = "RunnerNotFound"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    NAME_CONFLICT = "NameConflict"
    PULL_FAILED = "PullFailed"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    CACHE_TOO_SMALL = "CacheTooSmall"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOPING = "CrashLooping"
    OUT_OF_MEMORY = "OutOfMemory"
    ENGINE_FAILED = "EngineFailed"
    STARTUP_TIMED_OUT = "StartupTimedOut"
    SINGLE_NODE_VOLUME = "SingleNodeVolume"


PROGRESSING = frozenset({Reason.RESOLVING, Reason.PULLING, Reason.STARTING, Reason.TERMINATING})
"""Reasons that pass without anybody acting."""
