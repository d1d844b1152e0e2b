"""Chat templates of models: their runners know them, since they have read the weights.

A model that sleeps is not woken to be asked: its template is told once it has run while this
process did.
"""

from collections import OrderedDict
from typing import Final, Protocol

from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table.entry import ModelEntry

_KEPT: Final = 256
"""Templates of the models that were asked for last; most have some thousand characters."""


class Runners(Protocol):
    """Who is asked; never raises."""

    async def template(self, endpoint: Endpoint, name: str) -> str:
        """The chat template that a runner's engine uses, "" where it does not tell."""
        ...


class Templates:
    """Asks each once for a model, its weights and its settings."""

    def __init__(self, runners: Runners) -> None:
        self._runners = runners
        self._known: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    async def of(self, model: ModelEntry) -> str:
        """Jinja, or "" while nobody knows."""
        # A flag may name another template than the one of the weights.
        key = (model.uid, model.identity, repr(model.spec.get("config")))
        found = self._known.get(key, "")
        if not found and model.ready:
            found = await self._runners.template(model.ready[0], model.name)
        if found:
            self._known[key] = found
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found
