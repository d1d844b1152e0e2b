"""Which models there are and which tags lead to them. Pure.

Source: docker/model-runner `pkg/distribution/internal/store/index.go` and
`distribution/client.go` (`DeleteModel`). A tag leads to one model; who gives it to another takes
it away from the first, which stays, be it without any tag.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from modelrunner_protocol.references import normalize

SHORT: Final = 12
"""Hexadecimal digits of an identity that people type."""

LATEST: Final = "latest"
_HEX: Final = re.compile(rf"[0-9a-f]{{{SHORT}}}|[0-9a-f]{{64}}")
_PREFIX: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model: `identity` is its manifest's "sha256:…", `created` is seconds since the epoch."""

    identity: str
    tags: tuple[str, ...] = ()
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Index:
    """All models, in the order in which they came."""

    entries: tuple[Entry, ...] = ()

    def get(self, identity: str) -> Entry | None:
        """The model that is called so by its digest."""
        return next((one for one in self.entries if one.identity == identity), None)

    def tagged(self, tag: str) -> Entry | None:
        """The model that a tag leads to."""
        return next((one for one in self.entries if tag in one.tags), None)

    def admit(self, entry: Entry) -> "Index":
        """With this model, too; one that is there already stays as it is, but for more tags."""
        index = self
        if self.get(entry.identity) is None:
            index = Index((*self.entries, replace(entry, tags=())))
        for tag in entry.tags:
            index = index.tag(entry.identity, tag)
        return index

    def tag(self, identity: str, tag: str) -> "Index":
        """Let a tag lead to this model, and to no other."""
        return self._each(
            lambda one: (
                _with(one, tag) if one.identity == identity else replace(one, tags=_less(one, tag))
            )
        )

    def untag(self, tag: str) -> "Index":
        """Without a tag; the model it led to stays."""
        return self._each(lambda one: replace(one, tags=_less(one, tag)))

    def remove(self, identity: str) -> "Index":
        """Without a model, and its tags."""
        return Index(tuple(one for one in self.entries if one.identity != identity))

    def _each(self, change: Callable[[Entry], Entry]) -> "Index":
        return Index(tuple(change(one) for one in self.entries))


def _with(entry: Entry, tag: str) -> Entry:
    return entry if tag in entry.tags else replace(entry, tags=(*entry.tags, tag))


def _less(entry: Entry, tag: str) -> tuple[str, ...]:
    return tuple(one for one in entry.tags if one != tag)


def by_identity(index: Index, name: str) -> Entry | None:
    """The model whose identity a normalised name spells: whole, its first digits, or after "@"."""
    digits = name.rpartition("@")[2].removeprefix(_PREFIX)
    if not _HEX.fullmatch(digits):
        return None
    start = f"{_PREFIX}{digits}"
    return next((one for one in index.entries if one.identity.startswith(start)), None)


def by_last_part(index: Index, text: str) -> Entry | None:
    """The one model whose tag ends like `text`, which is no path: `smollm2`, `smollm2:v1`.

    Without a tag `latest` is looked for first, and then any other.
    """
    name, _, tag = unquote(text).strip().partition(":")
    # Read as a name, so that it is spelled as tags are.
    wanted = normalize(name).rpartition("/")[2].rpartition(":")[0]
    if not wanted or "/" in name:
        return None
    fitting = _ending(index, f"/{wanted}:{tag or LATEST}")
    if not fitting and not tag:
        fitting = [
            one
            for one in index.entries
            if any(found.rpartition(":")[0].endswith(f"/{wanted}") for found in one.tags)
        ]
    return fitting[0] if len(fitting) == 1 else None


def _ending(index: Index, end: str) -> list[Entry]:
    return [one for one in index.entries if any(tag.endswith(end) for tag in one.tags)]
