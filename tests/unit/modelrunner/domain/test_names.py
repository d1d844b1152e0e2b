"""Who answers to a name, whatever the order in which Models are seen."""

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.names import Claimant, Ownership, losses, own, owner_of


def claimant(path: str, *aliases: str, age: int = 0, uid: str = "") -> Claimant:
    """A Model; a higher `age` is older."""
    namespace, _, name = path.partition("/")
    created = f"2026-07-01T00:{59 - age:02}:00Z"
    return Claimant(namespace, name, uid or path, created, aliases)


_NAMES = ["smollm2", "gemma3", "1234567890ab"]
_ALIASES = [*_NAMES, "ai/smollm2", "SmolLM2:latest", "ml/gemma3", "hf.co/org/m:Q4", "ai/gemma3:v1"]
_CLAIMANTS = st.builds(
    claimant,
    st.builds("{}/{}".format, st.sampled_from(["ai", "ml", "web"]), st.sampled_from(_NAMES)),
    *[st.sampled_from(_ALIASES)] * 2,
    age=st.integers(0, 3),
)


def test_the_older_one_keeps_the_name() -> None:
    """Creation time decides; the younger one loses exactly the names that are taken."""
    old = claimant("web/z", "gpt-4o", "only-mine", age=5)
    young = claimant("ml/a", "gpt-4o", "also-mine")
    owners = own([young, old])
    assert owner_of("gpt-4o", owners) is old
    assert owner_of("also-mine", owners) is young
    assert losses(young, owners) == [("gpt-4o", old)]
    assert losses(old, owners) == []


def test_models_of_the_same_second_are_ordered_by_namespace_and_name() -> None:
    """The API server's times have whole seconds, and both sides must agree nevertheless."""
    first, second = claimant("ml/b", "x"), claimant("ml/c", "x")
    assert owner_of("x", own([second, first])) is first


def test_spellings_of_one_name_conflict() -> None:
    """A conflict is one of keys: the loss is told in the words of its own spec."""
    old = claimant("ml/smollm2", age=1)
    young = claimant("ml/other", "docker.io/ai/SmolLM2:latest")
    assert losses(young, own([young, old])) == [("docker.io/ai/SmolLM2:latest", old)]


def test_namespace_and_name_always_work() -> None:
    """Nobody's alias, however old, takes the path of another Model."""
    old = claimant("web/old", "ml/smollm2", age=9)
    young = claimant("ml/smollm2")
    owners = own([old, young])
    assert owner_of("ml/smollm2", owners) is young
    assert owner_of("ml/smollm2:latest", owners) is old
    assert losses(old, owners) == [("ml/smollm2", young)]


def test_a_namespace_named_like_the_default_organisation() -> None:
    """`ai/x` is the Model x of namespace ai, and still `x` belongs to the older Model x."""
    old, young = claimant("ml/smollm2", age=1), claimant("ai/smollm2")
    owners = own([young, old])
    assert owner_of("ai/smollm2", owners) is young
    assert owner_of("smollm2", owners) is old
    assert owner_of("ai/smollm2:latest", owners) is old


def test_text_that_is_no_reference_has_no_owner() -> None:
    """Not even that of a Model whose alias is none either (an object from before the schema)."""
    odd = claimant("ml/a", "two words", "")
    owners = own([odd])
    assert "" not in owners
    assert owner_of("two words", owners) is None
    assert losses(odd, owners) == []


def test_an_object_without_a_time_comes_last() -> None:
    """It has not been stored yet, so it takes nothing away."""
    stored, new = claimant("ml/b", "x"), Claimant("ml", "a", "u", "", ("x",))
    assert owner_of("x", own([new, stored])) is stored


def test_a_successor_of_the_same_name_takes_the_place() -> None:
    """Deleted and made anew between two looks: the new object's claims count."""
    ownership = Ownership()
    assert ownership.add(claimant("ml/a", "x", uid="1"))
    assert ownership.add(claimant("ml/a", "y", uid="2"))
    assert not ownership.add(claimant("ml/a", "y", uid="2"))
    assert owner_of("x", ownership.owners) is None
    assert owner_of("y", ownership.owners) == claimant("ml/a", "y", uid="2")
    assert ownership.remove("ml/a")
    assert not ownership.remove("ml/a")
    assert ownership.owners == {}


def test_rivals_are_those_whose_losses_may_change() -> None:
    """Whoever wants a name that comes or goes, the path included, has to look again."""
    ownership = Ownership()
    alias, path, other = claimant("a/a", "x"), claimant("a/b", "ml/c"), claimant("a/z")
    for one in (alias, path, other):
        ownership.add(one)
    newcomer = claimant("ml/c", "X:latest")
    assert {one.path for one in ownership.rivals(newcomer)} == {"a/a", "a/b"}
    ownership.add(newcomer)
    assert {one.path for one in ownership.rivals(newcomer)} == {"a/a", "a/b"}


@given(st.lists(_CLAIMANTS, max_size=8, unique_by=lambda one: one.path), st.randoms())
def test_the_order_of_arrival_makes_no_difference(models: list[Claimant], random: Random) -> None:
    """Operator and gateway see events in different orders and must agree."""
    reordered = list(models)
    random.shuffle(reordered)
    assert own(reordered) == own(models)


@given(st.lists(st.tuples(st.booleans(), _CLAIMANTS), max_size=30))
def test_the_way_there_makes_no_difference(events: list[tuple[bool, Claimant]]) -> None:
    """After any additions, changes and removals the owners are those of the Models left."""
    ownership, left = Ownership(), dict[str, Claimant]()
    for added, model in events:
        if added:
            ownership.add(model)
            left[model.path] = model
        else:
            ownership.remove(model.path)
            left.pop(model.path, None)
    assert ownership.owners == own(left.values())
    assert ownership._contested.keys() == own_contested(left.values())


def own_contested(models: Iterable[Claimant]) -> set[str]:
    """The keys that more than one of the Models wants."""
    wanted = [key for model in models for key in model.wanted]
    return {key for key in wanted if wanted.count(key) > 1}
