"""What a model is for, where nobody says it."""

from collections.abc import Iterable
from typing import Protocol

from modelrunner_protocol.wire import Mode
from runnerd.standalone.catalogue.stored import Stored


class _InMode(Protocol):
    @property
    def identity(self) -> str: ...

    @property
    def mode(self) -> Mode: ...


def meant_mode(stored: Stored, *known: Iterable[_InMode]) -> Mode:
    """The only mode that it runs in or is configured for, else the usual one of its kind.

    `known` is what the pool tells: what runs, what is configured.
    """
    modes = {one.mode for told in known for one in told if one.identity == stored.identity}
    if len(modes) == 1:
        return modes.pop()
    # Encoders of text say nothing.
    return Mode.EMBEDDING if "bert" in stored.artifact.architecture else Mode.COMPLETION
