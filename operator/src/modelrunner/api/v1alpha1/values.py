"""Words that fields of `modelrunner.dev/v1alpha1` may hold."""

from enum import StrEnum


class Engine(StrEnum):
    """Which inference engine serves a model."""

    AUTO = "auto"
    LLAMA_CPP = "llama.cpp"


class AccessMode(StrEnum):
    """How a cache volume may be mounted."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


class Retention(StrEnum):
    """What happens to cached weights when no Model uses them any more."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Phase(StrEnum):
    """One word for where a Model is.

    The schema leaves the word open, so that a newer operator can write a new one under an older
    schema.
    """

    PENDING = "Pending"
    RESOLVING = "Resolving"
    PULLING = "Pulling"
    STARTING = "Starting"
    READY = "Ready"
    IDLE = "Idle"
    FAILED = "Failed"
    TERMINATING = "Terminating"


class ConditionType(StrEnum):
    """The conditions of a Model and of a ModelRunner (DESIGN §3)."""

    READY = "Ready"
    CACHED = "Cached"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    NAME_CONFLICT = "NameConflict"
    REPLICAS_LIMITED = "ReplicasLimited"
