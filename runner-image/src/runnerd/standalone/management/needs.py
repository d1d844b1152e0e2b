"""What the routes need of those that bring models and run them."""

from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Protocol

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.dmr import Line
from modelrunner_protocol.wire import Mode
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pool.told import Configured, Running


class Puller(Protocol):
    """Brings models here; see `runnerd.standalone.catalogue.pulls`."""

    def pull(self, reference: str, *, token: str = "") -> AsyncGenerator[Line, None]:
        """Bring one."""
        ...


class Pusher(Protocol):
    """Brings models away; see `runnerd.standalone.catalogue.pushes`."""

    def push(self, name: str, *, token: str = "") -> AsyncGenerator[Line, None]:
        """Bring one away."""
        ...


class Pool(Protocol):
    """The engines; see `runnerd.standalone.pool`."""

    async def preload(self, stored: Stored, mode: Mode, *, name: str) -> None:
        """Have an engine loaded that nobody uses yet."""
        ...

    def configure(
        self, identity: str, configuration: Configuration, mode: Mode = Mode.COMPLETION
    ) -> None:
        """Say how a model is to run."""
        ...

    def forget(self, identity: str) -> None:
        """Drop what was said of a model."""
        ...

    def configurations(self, identity: str | None = None) -> Sequence[Configured]:
        """What was said."""
        ...

    def running(self) -> Sequence[Running]:
        """What is loaded."""
        ...

    async def unload(self, identities: Collection[str] | None = None) -> int:
        """Unload what is idle."""
        ...
