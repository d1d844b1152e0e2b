"""The models that a server is to have from its start."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from modelrunner_protocol import dmr
from modelrunner_protocol.wire import Mode
from runnerd.standalone.beginning import Beginning
from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.weights.oci.package import Ingredients
from tests.support.gguf_files import model

if TYPE_CHECKING:
    from runnerd.standalone.catalogue.pulls import Pulls
    from runnerd.standalone.pool import Pool

PROGRESS = dmr.downloaded("sha256:1", size=20, current=10, total=20)


class Registry:
    """Gives each reference what its list says: events, errors; "add" puts the model there."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self.catalogue = catalogue
        self.file = folder / "x.gguf"
        self.file.write_bytes(model())
        self.answers: dict[str, list[Sequence[Any]]] = {}
        self.asked: list[str] = []

    async def pull(self, reference: str, *, token: str = "") -> AsyncIterator[Any]:
        """One pull."""
        assert token == ""
        self.asked.append(reference)
        for event in self.answers[reference].pop(0):
            if isinstance(event, Exception):
                raise event
            if event == "add":
                add(self.catalogue, Ingredients(weights=[self.file]), reference)
            else:
                yield event


class Configurable:
    """What is configured."""

    def __init__(self) -> None:
        self.configured: list[str] = []

    def configure(self, identity: str, _: Any, mode: Mode) -> None:
        """As the pool has it."""
        assert mode is Mode.COMPLETION
        self.configured.append(identity)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty one."""
    return Registry(Catalogue(tmp_path / "models"), tmp_path)


def beginning(registry: Registry, pool: Configurable, *models: str) -> Beginning:
    """One for these models."""
    pulls, engines = cast("Pulls", registry), cast("Pool", pool)
    return Beginning(models, registry.catalogue, pulls, engines, first_pause=0)


async def test_pulled(registry: Registry) -> None:
    """What is missing is pulled and configured."""
    registry.answers = {"ai/a": [[PROGRESS, "add", dmr.pulled()]]}
    pool = Configurable()
    found = beginning(registry, pool, "ai/a")
    assert found.missing == {"ai/a": ""}
    await found.run()
    assert found.missing == {}
    assert pool.configured == [one.identity for one in registry.catalogue.models()]


async def test_what_is_there_is_not_pulled(registry: Registry) -> None:
    """A server starts without a network; a model of a like name is another one."""
    add(registry.catalogue, Ingredients(weights=[registry.file]), "team/a")
    await beginning(registry, Configurable(), "team/a:latest").run()
    assert registry.asked == []
    registry.answers = {"a": [["add", dmr.pulled()]]}
    await beginning(registry, Configurable(), "a").run()
    assert registry.asked == ["a"]


async def test_what_is_there_waits_for_no_registry(registry: Registry) -> None:
    """A model of the store is configured before one is asked for that a registry may not give."""
    stored = add(registry.catalogue, Ingredients(weights=[registry.file]), "ai/b")
    registry.answers = {"ai/a": [[PullRefusedError(404, "no such model")], ["add", dmr.pulled()]]}
    pool = Configurable()
    seen: list[list[str]] = []

    async def pull(reference: str, *, token: str = "") -> AsyncIterator[Any]:
        seen.append(list(pool.configured))
        async for event in Registry.pull(registry, reference, token=token):
            yield event

    registry.pull = pull  # type: ignore[method-assign]  # as it is, and what had been done by then
    await beginning(registry, pool, "ai/a", "ai/b").run()
    assert seen[0] == [stored.identity]


async def test_failures(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails is told and tried again; the others do not wait for it."""
    registry.answers = {
        "ai/a": [
            [PullRefusedError(404, "no such model")],
            [PROGRESS, dmr.failed("the disk is full")],
            [PROGRESS, OSError("broken")],
            ["add", dmr.pulled()],
        ],
        "ai/b": [["add", dmr.pulled()]],
    }
    await beginning(registry, Configurable(), "ai/a", "ai/b").run()
    assert registry.asked == ["ai/a", "ai/b", "ai/a", "ai/a", "ai/a"]
    causes = [
        record.fields["cause"]  # type: ignore[attr-defined]  # see runnerd.logs
        for record in caplog.records
        if record.levelname == "ERROR"
    ]
    assert causes == ["no such model", "Error: the disk is full", "broken"]


async def test_nothing_to_begin_with(registry: Registry) -> None:
    """Without MODELS it is over at once."""
    await beginning(registry, Configurable()).run()
    assert registry.asked == []
