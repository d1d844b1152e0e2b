"""Which models a key may use: patterns over `namespace/name`. Pure."""

import re
from typing import Final, Self

EVERYTHING: Final = "*"
_SEPARATOR: Final = re.compile(r"[,\s]+")
# What Kubernetes allows in the two names, and the two wildcards.
_GLOB: Final = re.compile(r"[a-z0-9*?][-a-z0-9.*?]*/[a-z0-9*?][-a-z0-9.*?]*")
_REMEMBERED: Final = 4096


class Globs:
    """Patterns such as `team-a/*`; `*` and `?` stand for characters other than the slash.

    `text` is what was written, in normal form: separated by single spaces.
    """

    __slots__ = ("_everything", "_match", "_memo", "text")

    def __init__(self, globs: tuple[str, ...]) -> None:
        """Use `parse`; a pattern here is either `*` or of the form namespace/name."""
        self.text = " ".join(globs)
        self._everything = EVERYTHING in globs
        self._match = re.compile("|".join(map(_expression, globs))).fullmatch
        self._memo: dict[tuple[str, str], bool] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Patterns separated by commas or white space.

        Raises:
            ValueError: there is none, or one is neither `*` nor `namespace/name`. A pattern without
                a slash could mean a namespace or a model, so it is not guessed.
        """
        globs = tuple(one for one in _SEPARATOR.split(text) if one)
        if not globs:
            raise ValueError("no pattern is given")
        for place, one in enumerate(globs, 1):
            if one != EVERYTHING and not _GLOB.fullmatch(one):
                raise ValueError(f"pattern {place} is neither * nor of the form namespace/name")
        return cls(globs)

    def allow(self, namespace: str, name: str) -> bool:
        """Whether a Model is among them; remembered for each."""
        if self._everything:
            return True
        key = (namespace, name)
        known = self._memo.get(key)
        if known is None:
            if len(self._memo) >= _REMEMBERED:
                self._memo.clear()
            known = self._memo[key] = self._match(f"{namespace}/{name}") is not None
        return known


def _expression(glob: str) -> str:
    return re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
