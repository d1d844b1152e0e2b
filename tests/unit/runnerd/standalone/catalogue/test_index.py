"""Which tag leads to which model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.standalone.catalogue.index import Entry, Index, by_identity, by_last_part
from runnerd.standalone.catalogue.removal import Removal, SeveralTagsError, removal

IDENTITIES = [f"sha256:{digit * 64}" for digit in "abc"]
TAGS = [f"ai/{name}:latest" for name in "uvwx"]

ADMIT = st.tuples(st.just("admit"), st.sampled_from(IDENTITIES), st.sampled_from(["", *TAGS]))
TAG = st.tuples(st.just("tag"), st.sampled_from(IDENTITIES), st.sampled_from(TAGS))
BY_TAG = st.tuples(st.just("by tag"), st.sampled_from(TAGS), st.booleans())
BY_IDENTITY = st.tuples(st.just("by identity"), st.sampled_from(IDENTITIES), st.booleans())


class Told:
    """The same in the plainest words: tag → identity, and the identities there are."""

    def __init__(self) -> None:
        self.models: set[str] = set()
        self.tags: dict[str, str] = {}

    def of(self, identity: str) -> set[str]:
        """The tags of a model."""
        return {tag for tag, one in self.tags.items() if one == identity}

    def forget(self, identity: str) -> None:
        """Without a model."""
        self.models.discard(identity)
        for tag in self.of(identity):
            del self.tags[tag]


def _admitted(index: Index, told: Told, identity: str, tag: str) -> Index:
    told.models.add(identity)
    if tag:
        told.tags[tag] = identity
    return index.admit(Entry(identity=identity, tags=(tag,) if tag else (), created=1.0))


def _tagged(index: Index, told: Told, identity: str, tag: str) -> Index:
    if identity in told.models:
        told.tags[tag] = identity
        return index.tag(identity, tag)
    return index


def _removed_by_tag(index: Index, told: Told, tag: str, *, force: bool) -> Index:
    entry = index.tagged(tag)
    assert (entry.identity if entry else None) == told.tags.get(tag)
    if entry is None:
        return index
    steps, index = removal(index, entry, tag, force=force)
    assert steps[0] == (Removal.UNTAGGED, tag)
    del told.tags[tag]
    last = not told.of(entry.identity)
    assert steps[1:] == ([(Removal.DELETED, entry.identity)] if last else [])
    if last:
        told.forget(entry.identity)
    return index


def _removed_by_identity(index: Index, told: Told, identity: str, *, force: bool) -> Index:
    entry = index.get(identity)
    if entry is None:
        return index
    if len(told.of(identity)) > 1 and not force:
        with pytest.raises(SeveralTagsError):
            removal(index, entry, "", force=force)
        return index
    steps, index = removal(index, entry, "", force=force)
    untagged = {tag for what, tag in steps if what is Removal.UNTAGGED}
    assert untagged == told.of(identity)
    assert steps[-1] == (Removal.DELETED, identity)
    told.forget(identity)
    return index


@given(st.lists(ADMIT | TAG | BY_TAG | BY_IDENTITY, max_size=30))
def test_any_sequence_of_changes(steps: list[tuple[str, str, str | bool]]) -> None:
    """Whatever is admitted, tagged and removed: a tag leads to one model, and none is lost."""
    index, told = Index(), Told()
    for what, first, second in steps:
        if what == "admit":
            index = _admitted(index, told, first, str(second))
        elif what == "tag":
            index = _tagged(index, told, first, str(second))
        elif what == "by tag":
            index = _removed_by_tag(index, told, first, force=bool(second))
        else:
            index = _removed_by_identity(index, told, first, force=bool(second))
        assert {one.identity for one in index.entries} == told.models
        assert {tag: one.identity for one in index.entries for tag in one.tags} == told.tags
        assert sum(len(one.tags) for one in index.entries) == len(told.tags)


def test_model_keeps_its_moment() -> None:
    """A model that is admitted again stays the one that it was."""
    index = Index().admit(Entry(identity=IDENTITIES[0], tags=("ai/u:latest",), created=1.0))
    again = index.admit(Entry(identity=IDENTITIES[0], tags=("ai/v:latest",), created=2.0))
    entry = again.get(IDENTITIES[0])
    assert entry == Entry(identity=IDENTITIES[0], tags=("ai/u:latest", "ai/v:latest"), created=1.0)


@pytest.mark.parametrize("name", [IDENTITIES[1], "b" * 64, "b" * 12, f"team/m@{IDENTITIES[1]}"])
def test_spellings_of_an_identity(name: str) -> None:
    """Whole, its digits, the first twelve of them, or behind any name."""
    index = Index(tuple(Entry(identity=one) for one in IDENTITIES))
    assert by_identity(index, name) == Entry(identity=IDENTITIES[1])


@pytest.mark.parametrize("name", ["b" * 11, "b" * 13, "B" * 12, "ai/bbbbbbbbbbbb:latest", ""])
def test_what_is_no_identity(name: str) -> None:
    """Fewer digits, more of them or capitals are names like others."""
    index = Index(tuple(Entry(identity=one) for one in IDENTITIES))
    assert by_identity(index, name) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("smol", 0),
        ("Smol", 0),
        (" smol ", 0),
        ("smol:latest", 0),
        ("smol:v1", 1),
        ("other", 1),
        ("twice", None),
        ("mol", None),
        ("team/smol", None),
        ("team%2Fsmol", None),
        ("", None),
        ("../smol", None),
    ],
)
def test_last_part(name: str, found: int | None) -> None:
    """A last part is enough where it leads to one model; `latest` is what no tag means."""
    tags = (
        ("team/smol:latest", "a/twice:v1"),
        ("else/smol:v1", "r.example.com/x/other:v2", "b/twice:v1"),
    )
    index = Index(
        tuple(Entry(identity=one, tags=two) for one, two in zip(IDENTITIES, tags, strict=False))
    )
    entry = by_last_part(index, name)
    assert (index.entries.index(entry) if entry else None) == found
