"""The lists of models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.ollama import FOREVER, Described
from modelrunner_protocol.wire import Mode
from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.lists import Lists
from runnerd.standalone.management.described import described
from runnerd.standalone.pool import Configured, Running
from runnerd.weights.oci.package import Ingredients
from tests.support.gguf_files import MODEL, SIZED, model

if TYPE_CHECKING:
    from runnerd.standalone.pool import Pool


class Engines:
    """What is configured and what runs."""

    def __init__(self) -> None:
        self.configured: list[Configured] = []
        self.loaded: list[Running] = []

    def configuration(self, identity: str, mode: Mode) -> Configuration:
        """As the pool has it."""
        for one in self.configured:
            if (one.identity, one.mode) == (identity, mode):
                return one.configuration
        return Configuration()

    def configurations(self, _: str | None = None) -> Sequence[Configured]:
        """As the pool has it."""
        return self.configured

    def running(self) -> Sequence[Running]:
        """As the pool has it."""
        return self.loaded


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """One with a model of two names, and one without a name."""
    found = Catalogue(tmp_path / "models", now=lambda: 1000.0)
    for seed, name in ((1, "ai/a"), (2, "ai/b")):
        file = tmp_path / f"{seed}.gguf"
        file.write_bytes(model(seed=seed))
        add(found, Ingredients(weights=[file]), name)
    found.tag("ai/a", "team/a:v2")
    found.tag("ai/a", "ai/b")
    return found


def running(identity: str, **more: object) -> Running:
    """An engine that is loaded."""
    usual: dict[str, object] = {"identity": identity, "name": "x", "mode": Mode.COMPLETION}
    usual |= {"backend": "llama.cpp", "last_used": 5.0, "in_use": False, "loading": False}
    usual |= {"keep_alive": 300.0, "size_bytes": 77, "context": 512, "expires_at": 305.0}
    return Running(**(usual | more))  # type: ignore[arg-type]  # a table of all kinds


async def test_names(catalogue: Catalogue) -> None:
    """Every tag is an entry; a model without one goes by its identity."""
    lists = Lists(catalogue, cast("Pool", Engines()))
    names = [one.name for one in await lists.all()]
    assert names[:3] == ["ai/a:latest", "team/a:v2", "ai/b:latest"]
    assert names[3].startswith("sha256:")
    assert (await lists.find("team/a:v2")) is not None
    assert await lists.find("nobody") is None


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"expires_at": 400.0}, "1970-01-01T00:06:40Z"),
        ({"expires_at": 200.0}, "1970-01-01T00:05:05Z"),
        ({"expires_at": None, "in_use": True}, "1970-01-01T00:21:40Z"),
        ({"expires_at": None, "keep_alive": -1.0}, FOREVER),
        ({"expires_at": 1e18}, FOREVER),
    ],
)
async def test_loaded(catalogue: Catalogue, more: dict[str, object], at: str) -> None:
    """A model is there once, with all that its engines take, until the last one goes."""
    engines = Engines()
    first, second = (one.identity for one in catalogue.models())
    engines.loaded = [
        running(first),
        running(first, mode=Mode.EMBEDDING, context=None, **more),
        running(second, loading=True),
        running("sha256:" + "0" * 64),
    ]
    lists = Lists(catalogue, cast("Pool", engines), now=lambda: 1000.0)
    rows = await lists.loaded()
    assert [(one.name, one.size, one.context, end) for one, end in rows] == [
        ("ai/a:latest", 154, 512, at)
    ]


@pytest.mark.parametrize(("size", "told"), [(None, 8192), (4096, 4096), (-1, 8192)])
async def test_context(catalogue: Catalogue, size: int | None, told: int) -> None:
    """What was configured, else what the model was trained for."""
    engines = Engines()
    identity = catalogue.models()[0].identity
    trained = catalogue.models()[0].artifact.context_size
    said = Configuration(context_size=size)
    engines.configured = [Configured(identity=identity, mode=Mode.COMPLETION, configuration=said)]
    found = await _found(catalogue, engines)
    assert found.context == (trained if told == 8192 else told)


async def test_memory(tmp_path: Path) -> None:
    """An estimate, in every list; where the header does not tell enough there is none."""
    catalogue = Catalogue(tmp_path / "models", now=lambda: 1000.0)
    for name, metadata in (("sized", SIZED), ("bare", MODEL)):
        file = tmp_path / f"{name}.gguf"
        file.write_bytes(model(metadata=metadata))
        add(catalogue, Ingredients(weights=[file]), f"ai/{name}")
    lists = Lists(catalogue, cast("Pool", Engines()))
    sized, bare = await lists.find("ai/sized"), await lists.find("ai/bare")
    assert sized is not None
    assert bare is not None
    assert sized.memory is not None
    assert sized.memory > sized.size
    assert bare.memory is None
    stored = {one.tags[0]: described(one) for one in catalogue.models()}
    assert stored["ai/sized:latest"].memory == sized.memory
    assert stored["ai/bare:latest"].memory is None


async def test_abilities(catalogue: Catalogue) -> None:
    """A model that is configured for vectors alone says so."""
    engines = Engines()
    identity = catalogue.models()[0].identity
    assert (await _found(catalogue, engines)).capabilities[0] == "completion"
    engines.configured = [
        Configured(identity=identity, mode=Mode.EMBEDDING, configuration=Configuration())
    ]
    assert (await _found(catalogue, engines)).capabilities == ("embedding",)


async def _found(catalogue: Catalogue, engines: Engines) -> Described:
    found = await Lists(catalogue, cast("Pool", engines)).find("team/a:v2")
    assert found is not None
    return found


async def test_templates(tmp_path: Path) -> None:
    """That of the weights, or the file that replaces it, which also tells what the model can do."""
    catalogue = Catalogue(tmp_path / "models")
    file, template = tmp_path / "m.gguf", tmp_path / "t.jinja"
    file.write_bytes(model(metadata={**MODEL, "tokenizer.chat_template": "{{ messages }}"}))
    template.write_text("{{ tools }}{{ messages }}")
    add(catalogue, Ingredients(weights=[file]), "ai/inside")
    packaged = add(catalogue, Ingredients(weights=[file], chat_template=template), "ai/beside")
    lists = Lists(catalogue, cast("Pool", Engines()))
    inside, beside = await lists.find("ai/inside"), await lists.find("ai/beside")
    assert inside is not None
    assert beside is not None
    assert (inside.template, inside.capabilities) == ("{{ messages }}", ("completion",))
    assert (beside.template, "tools" in beside.capabilities) == (template.read_text(), True)
    assert packaged.chat_template is not None
    packaged.chat_template.unlink()
    broken = await lists.find("ai/beside")
    assert broken is not None
    assert broken.template == ""
