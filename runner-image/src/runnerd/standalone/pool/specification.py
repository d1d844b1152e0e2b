"""What an engine of the pool is to be, decided before it is started."""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modelrunner_protocol.configure import LLAMA_CPP, Configuration
from modelrunner_protocol.wire import Draft, Mode, RunConfig
from runnerd.engines.environment import engine_environment
from runnerd.engines.memory import fitting, tuning
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.pool import refusals
from runnerd.standalone.pool.told import Key
from runnerd.weights.gguf import GgufError, GgufHeader, read
from runnerd.weights.memory import Estimate, Tuning, estimate

_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """An engine that may be started.

    Attributes:
        name: The model as it was first asked for.
        configuration: The one that this was made of.
        needs: Its memory.
    """

    key: Key
    name: str
    configuration: Configuration
    config: RunConfig
    needs: Estimate


class Specifications:
    """Makes them.

    Args:
        budget: Bytes that an engine may need, None: nobody counts. Where no context was asked for,
            it is made as large as the model can have and this allows.
        startup_timeout: Seconds that an engine may take to be ready.
        llama_args: LLAMA_ARGS: the first arguments of engines.
        find: The model that goes by a name, for draft models.
        environment: The variables that engines inherit from.
    """

    def __init__(
        self,
        *,
        budget: int | None,
        startup_timeout: float,
        llama_args: str | None,
        find: Callable[[str], Stored | None],
        environment: Mapping[str, str],
    ) -> None:
        self._budget = budget
        self._startup_timeout = startup_timeout
        self._base = _words(llama_args)
        self._find = find
        self._environment = engine_environment(environment)
        self._headers: dict[str, asyncio.Task[GgufHeader | None]] = {}

    async def make(
        self, stored: Stored, mode: Mode, configuration: Configuration, *, name: str
    ) -> Specification:
        """Decide what the engine of a model is.

        Raises:
            RefusedError: there is not so much memory; it is to have a draft model that is not
                there.
        """
        drafting = await self._drafting(configuration)
        config = run_config(stored, mode, configuration, drafting, self._startup_timeout)
        header = await self._header(stored)
        tuned = tuning(config, self._base, self._environment)
        weights = stored.artifact.size_bytes
        if self._budget is not None:
            chosen = fitting(header, tuned, weights=weights, mode=mode, most=self._budget)
            if chosen is not None:
                config, tuned = (
                    replace(config, context_size=chosen),
                    replace(tuned, context=chosen),
                )
        needs = estimate(header, tuned, weights=weights, mode=mode)
        if drafting:
            needs = needs.beside(await self._needs_of_draft(drafting, tuned))
        if self._budget is not None and needs.total > self._budget:
            raise refusals.too_large(name, needs, self._budget)
        return Specification(
            key=Key(stored.identity, mode),
            name=name,
            configuration=configuration,
            config=config,
            needs=needs,
        )

    def forget(self, identity: str) -> None:
        """Drop what is known of a model that is no longer there."""
        self._headers.pop(identity, None)

    async def _drafting(self, configuration: Configuration) -> Stored | None:
        if configuration.speculative is None:
            return None
        name = configuration.speculative.draft_model
        found = await asyncio.to_thread(self._find, name)
        if found is None:
            raise refusals.no_draft(name)
        return found

    async def _needs_of_draft(self, drafting: Stored, tuned: Tuning) -> Estimate:
        header = await self._header(drafting)
        return estimate(header, tuned, weights=drafting.artifact.size_bytes)

    async def _header(self, stored: Stored) -> GgufHeader | None:
        """Read once for all who ask; whoever leaves does not end it for the others."""
        task = self._headers.get(stored.identity)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(_read, stored.weights))
            self._headers[stored.identity] = task
        found = await asyncio.shield(task)
        if found is None:
            # Perhaps it can be read the next time.
            self._headers.pop(stored.identity, None)
        return found


def run_config(
    stored: Stored,
    mode: Mode,
    configuration: Configuration,
    drafting: Stored | None,
    startup_timeout: float,
) -> RunConfig:
    """The work of an engine. Pure."""
    # The same for all who ask, however they call it: it is a label of metrics.
    model = stored.tags[0] if stored.tags else stored.identity.removeprefix("sha256:")[:_DIGITS]
    return RunConfig(
        model=model,
        namespace="",
        runner="",
        engine=LLAMA_CPP,
        weights=str(stored.weights),
        projector=_path(stored.projector),
        chat_template=_path(stored.chat_template),
        mode=mode,
        context_size=configuration.context_size,
        runtime_flags=configuration.runtime_flags or (),
        reasoning_budget=configuration.reasoning_budget,
        draft=_draft(configuration, drafting),
        startup_timeout=startup_timeout,
    )


def _draft(configuration: Configuration, drafting: Stored | None) -> Draft | None:
    said = configuration.speculative
    if said is None or drafting is None:
        return None
    return Draft(
        weights=str(drafting.weights),
        max_tokens=said.num_tokens,
        min_probability=said.min_acceptance_rate,
    )


def _path(path: Path | None) -> str:
    return str(path or "")


def _read(path: Path) -> GgufHeader | None:
    """The header; of a file that cannot be read the engine says why."""
    try:
        with path.open("rb") as file:
            found = read(file)
    except (OSError, GgufError):
        return None
    # It is kept as long as the model is there, and a template may be a megabyte.
    return replace(found, template="")


def _words(llama_args: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(llama_args or ""))
    except ValueError:
        # The launcher says so in words.
        return ()
