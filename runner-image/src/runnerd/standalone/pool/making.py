"""Real engines for the pool."""

import itertools
from collections.abc import Callable
from typing import Final

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.launch import Launcher
from runnerd.engines.restarts import Delays
from runnerd.responses.store import Store
from runnerd.server.served import Served

# Only an engine in use is started again by itself, and clients wait for it.
_DELAYS: Final = Delays(first=0.1, longest=10.0)


def maker(settings: Settings, store: Store | None = None) -> Callable[[RunConfig], Served]:
    """A function that makes engines, each with a socket of its own; they are not started yet.

    It raises ConfigError where there is no llama-server, or it cannot be told what it must be.
    `store` keeps the responses of all of them.
    """
    numbers = itertools.count(1)

    def make(config: RunConfig) -> Served:
        launch = Launcher(config, settings, name=f"engine-{next(numbers)}")
        # Names were looked up in the catalogue before, which knows more spellings.
        return Served(config, settings, launch, delays=_DELAYS, store=store, knows=lambda _: True)

    return make
