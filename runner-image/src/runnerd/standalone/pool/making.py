"""Real engines for the pool."""

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Final

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.launch import Launcher
from runnerd.engines.memory import PROMPTS_VARIABLE
from runnerd.engines.restarts import Delays
from runnerd.responses.store import Store
from runnerd.server.served import Served

# Only an engine in use is started again by itself, and clients wait for it.
_DELAYS: Final = Delays(first=0.1, longest=10.0)
_PROMPTS: Final = 16


def inherited(environment: Mapping[str, str], budget: int | None) -> dict[str, str]:
    """This process's variables, for engines that share `budget` bytes (None: nobody counts).

    llama-server keeps up to 8 GiB of finished conversations, if nobody says less: with a budget
    a sixteenth of it.
    """
    if budget is None or environment.get(PROMPTS_VARIABLE):
        return dict(environment)
    return {**environment, PROMPTS_VARIABLE: str((budget >> 20) // _PROMPTS)}


def maker(
    settings: Settings,
    store: Store | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Callable[[RunConfig], Served]:
    """A function that makes engines, each with a socket of its own; they are not started yet.

    It raises ConfigError where there is no llama-server, or it cannot be told what it must be.
    `store` keeps the responses of all of them; `environment` is that which they inherit from.
    """
    numbers = itertools.count(1)

    def make(config: RunConfig) -> Served:
        name = f"engine-{next(numbers)}"
        launch = Launcher(config, settings, name=name, environment=environment)
        # Names were looked up in the catalogue before, which knows more spellings.
        return Served(config, settings, launch, delays=_DELAYS, store=store, knows=lambda _: True)

    return make
