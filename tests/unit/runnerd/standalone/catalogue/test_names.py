"""Which spelling of a name is which tag."""

import pytest

from runnerd.standalone.catalogue.index import Entry, Index
from runnerd.standalone.catalogue.names import InvalidNameError, Names

DIGITS = "1234567890ab" + "c" * 52
ENTRY = Entry(identity=f"sha256:{DIGITS}", tags=("ai/smollm2:latest", "team/m:V1"))
INDEX = Index((Entry(identity=f"sha256:{'d' * 64}", tags=("x/smollm2:latest",)), ENTRY))
ELSEWHERE = Names("registry.local:5000")


@pytest.mark.parametrize(
    "name",
    [
        "smollm2",
        "SmolLM2",
        " smollm2 ",
        "smollm2:latest",
        "smollm2:",
        "ai/smollm2",
        "ai%2Fsmollm2",
        "ai%2Fsmollm2%3Alatest",
        "docker.io/ai/smollm2:latest",
        "index.docker.io/ai/smollm2:latest",
        "DOCKER.IO/ai/smollm2",
        "team/m:V1",
        "TEAM/m:V1",
        "m:V1",
        "m",
        f"sha256:{DIGITS}",
        DIGITS,
        DIGITS[:12],
        f"smollm2@sha256:{DIGITS}",
        f"some/other@sha256:{DIGITS}",
    ],
)
def test_all_spellings_find_the_model(name: str) -> None:
    """Each spelling that Docker Model Runner's clients use leads to the model."""
    assert Names().find(INDEX, name, loosely=True) == ENTRY


@pytest.mark.parametrize(
    "name", ["team/m", "team/m:v1", "other", "", "../m", "a b", "ai/", "x" * 600]
)
def test_other_names_find_nothing(name: str) -> None:
    """A tag is told apart by its capitals, and what is no reference is no error."""
    assert Names().find(INDEX, name, loosely=True) is None


def test_nothing_is_guessed_where_something_goes() -> None:
    """Without `loosely` a last part is not enough."""
    assert Names().find(INDEX, "m:V1", loosely=False) is None


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("smollm2", "ai/smollm2:latest"),
        ("docker.io/ai/smollm2:latest", "ai/smollm2:latest"),
        (DIGITS[:12], ""),
        (f"sha256:{DIGITS}", ""),
        (f"ai/smollm2@sha256:{DIGITS}", ""),
    ],
)
def test_which_tag_was_named(name: str, tag: str) -> None:
    """A name is one of a model's tags, or its identity."""
    assert Names().named_tag(ENTRY, name) == tag


@pytest.mark.parametrize(
    ("names", "text", "tag", "registry"),
    [
        (Names(), "smollm2", "ai/smollm2:latest", "docker.io"),
        (Names(), "docker.io/ai/smollm2", "ai/smollm2:latest", "docker.io"),
        (Names("index.docker.io"), "smollm2", "ai/smollm2:latest", "docker.io"),
        (Names(), "localhost/a/b:v1", "localhost/a/b:v1", "localhost"),
        (Names(), "localhost:5000/m", "localhost:5000/m:latest", "localhost:5000"),
        (Names(), f"team/m@sha256:{DIGITS}", "", "docker.io"),
        (ELSEWHERE, "smollm2", "ai/smollm2:latest", "registry.local:5000"),
        (ELSEWHERE, "registry.local:5000/ai/smollm2", "ai/smollm2:latest", "registry.local:5000"),
        (
            ELSEWHERE,
            "registry.local:5000/m",
            "registry.local:5000/m:latest",
            "registry.local:5000",
        ),
        (ELSEWHERE, "docker.io/ai/smollm2", "docker.io/ai/smollm2:latest", "docker.io"),
        (ELSEWHERE, "ghcr.io/t/m:v1", "ghcr.io/t/m:v1", "ghcr.io"),
    ],
)
def test_tags_and_registries(names: Names, text: str, tag: str, registry: str) -> None:
    """A tag is told without the default registry, whichever that is; what is named, is meant."""
    assert names.tag_of(text) == tag
    assert names.location_of(text).registry == registry


@pytest.mark.parametrize("text", ["", "a b", DIGITS, f"sha256:{DIGITS}", "https://h/x", "a/../b"])
def test_what_is_no_name(text: str) -> None:
    """A sentence says so."""
    with pytest.raises(InvalidNameError, match=r"is no|is not"):
        Names().tag_of(text)


def test_hub_spelling_where_another_registry_is_the_default() -> None:
    """What clients read out of Docker Model Runner's lists finds the model nevertheless."""
    assert ELSEWHERE.find(INDEX, "docker.io/ai/smollm2:latest", loosely=False) == ENTRY
    assert ELSEWHERE.find(INDEX, "registry.local:5000/ai/smollm2", loosely=False) == ENTRY
    assert ELSEWHERE.named_tag(ENTRY, "docker.io/ai/smollm2") == "ai/smollm2:latest"


def test_a_name_that_dockers_command_line_has_given() -> None:
    """It writes docker.io before a new name, and asks without: also where that is not the default."""
    given = Entry(identity=f"sha256:{'e' * 64}", tags=("docker.io/ai/renamed:v2",))
    own = Entry(identity=f"sha256:{'f' * 64}", tags=("ai/both:latest",))
    hub = Entry(identity=f"sha256:{'0' * 64}", tags=("docker.io/ai/both:latest",))
    index = Index((given, own, hub))
    for name in ("ai/renamed:v2", "renamed:v2", "docker.io/ai/renamed:v2"):
        assert ELSEWHERE.find(index, name, loosely=False) == given
        assert ELSEWHERE.named_tag(given, name) == given.tags[0]
    assert ELSEWHERE.find(index, "both", loosely=False) == own
    assert ELSEWHERE.find(index, "docker.io/ai/both", loosely=False) == hub
