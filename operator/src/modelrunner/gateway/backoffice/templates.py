"""Chat templates of models: their runners know them, since they have read the weights.

A model that sleeps is not woken to be asked: its template is told once it has run while this
process did.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from modelrunner.domain.status import was_settled
from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.models import is_current

_KEPT: Final = 256
"""Templates of the models that were asked for last; most have some thousand characters."""

_Pod = tuple[str, tuple[str, int] | str]
_What = tuple[str, str]


class Runners(Protocol):
    """Who is asked; never raises."""

    async def template(self, endpoint: Endpoint, name: str) -> str | None:
        """The chat template that a runner's engine uses, "" for none; None: it does not tell."""
        ...


@dataclass(slots=True)
class _Told:
    """What a pod has told. `what`: the weights and settings it has, None while that is not sure."""

    pod: _Pod
    text: str
    what: _What | None = None


class Templates:
    """Asks one runner of each model, and another one once that is gone."""

    def __init__(self, runners: Runners) -> None:
        self._runners = runners
        self._known: OrderedDict[str, _Told] = OrderedDict()

    async def of(self, model: ModelEntry) -> str:
        """Jinja, or "" while nobody knows."""
        told = self._known.get(model.uid)
        if not model.ready:
            return told.text if told is not None and told.what == _what(model) else ""
        if told is None or told.pod not in map(_pod, model.ready):
            asked = model.ready[0]
            found = await self._runners.template(asked, model.name)
            if found is None:
                return ""
            told = self._known[model.uid] = _Told(_pod(asked), found)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._keep(model, told)
        return told.text

    def _keep(self, model: ModelEntry, told: _Told) -> None:
        """Remember what a template is of, for when the model sleeps.

        While runners roll the one that was asked may be a former one.
        """
        self._known.move_to_end(model.uid)
        if was_settled(model.status) and is_current(model.status, model.generation):
            told.what = _what(model)


def _pod(endpoint: Endpoint) -> _Pod:
    return endpoint.name, endpoint.address


def _what(model: ModelEntry) -> _What:
    # A flag may name another template than the one of the weights.
    return model.identity, repr(model.spec.get("config"))
