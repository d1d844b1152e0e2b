"""Who answers to a name: among the Models of all watched namespaces (DESIGN §7).

A Model answers to its own name, to its aliases and, whatever others claim, to `namespace/name`.
The operator (which tells the loser) and the gateway (which routes) must say the same, so both
ask here.
"""

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelrunner_protocol.references import key


@dataclass(frozen=True, slots=True)
class Claimant:
    """A Model that wants names. `created` is its creationTimestamp as the API server wrote it."""

    namespace: str
    name: str
    uid: str
    created: str
    aliases: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """`namespace/name`: the name that is always its own."""
        return f"{self.namespace}/{self.name}"

    @property
    def age_order(self) -> tuple[bool, str, str, str]:
        """Sorts the older first; an object without a time has not been stored yet."""
        return (not self.created, self.created, self.namespace, self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it wants, as written."""
        return (self.name, *self.aliases)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The keys of the names it wants, each once; text that is no reference has none."""
        return tuple({found: None for name in self.names if (found := key(name))})


def own(claimants: Iterable[Claimant]) -> dict[str, Claimant]:
    """The owner of each key (`references.key`) and of each `namespace/name`; older first.

    The two kinds of keys cannot be mixed up: a path has a slash and no colon, a normalised
    reference has both, an identity has no slash.
    """
    found = Ownership()
    for claimant in claimants:
        found.add(claimant)
    return found.owners


def owner_of(name: str, owners: Mapping[str, Claimant]) -> Claimant | None:
    """Who answers to a name as somebody wrote it."""
    return owners.get(name) or owners.get(key(name))


def losses(claimant: Claimant, owners: Mapping[str, Claimant]) -> list[tuple[str, Claimant]]:
    """The names, as written, that a Model wants and another one has, with that other one."""
    found: dict[str, Claimant] = {}
    for name in claimant.names:
        owner = owner_of(name, owners)
        if owner is not None and owner.path != claimant.path:
            found[name] = owner
    return list(found.items())


class Ownership:
    """The same as `own`, kept up to date one Model at a time.

    `owners` is to be read only. The order in which Models come and go makes no difference.
    """

    def __init__(self) -> None:
        self.owners: dict[str, Claimant] = {}
        self._known: dict[str, Claimant] = {}
        # Older first, only of keys that more than one claims.
        self._contested: dict[str, list[Claimant]] = {}

    def add(self, claimant: Claimant) -> bool:
        """Take in a Model's claims in place of its earlier ones; whether anything changed."""
        old = self._known.get(claimant.path)
        if old == claimant:
            return False
        if old is not None:
            self._release(old)
        self._known[claimant.path] = claimant
        self.owners[claimant.path] = claimant
        for wanted in claimant.wanted:
            self._claim(wanted, claimant)
        return True

    def remove(self, path: str) -> bool:
        """Give a Model's names to those who come next; False when it was not there."""
        old = self._known.pop(path, None)
        if old is None:
            return False
        self._release(old)
        return True

    def rivals(self, claimant: Claimant) -> Iterator[Claimant]:
        """The others that want one of its names or its path, possibly some more than once."""
        for wanted in (*claimant.wanted, key(claimant.path)):
            line = self._contested.get(wanted)
            holder = self.owners.get(wanted)
            for one in line or ([holder] if holder is not None else []):
                if one.path != claimant.path:
                    yield one

    def _claim(self, wanted: str, claimant: Claimant) -> None:
        holder = self.owners.get(wanted)
        if holder is None:
            self.owners[wanted] = claimant
            return
        line = self._contested.setdefault(wanted, [holder])
        insort(line, claimant, key=lambda one: one.age_order)
        self.owners[wanted] = line[0]

    def _release(self, claimant: Claimant) -> None:
        del self.owners[claimant.path]
        for wanted in claimant.wanted:
            line = self._contested.get(wanted)
            if line is None:
                del self.owners[wanted]
                continue
            line.remove(claimant)
            self.owners[wanted] = line[0]
            if len(line) == 1:
                del self._contested[wanted]
