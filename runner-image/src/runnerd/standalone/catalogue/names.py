"""Which spelling of a model's name is its tag. Pure."""

from dataclasses import dataclass
from typing import Final

from modelrunner_protocol.references import HUB, Location, locate, normalize
from runnerd.standalone.catalogue.index import Entry, Index, by_identity, by_last_part

_HUBS: Final = (f"{HUB}/", "index.docker.io/", "registry-1.docker.io/")


class InvalidNameError(ValueError):
    """A name that no model can have; the text says what one looks like."""


@dataclass(frozen=True, slots=True)
class Names:
    """How names are read where `default_registry` stands for "" (the Docker Hub) in them.

    A tag is the normalised reference without the default registry: `ai/smollm2:latest`. Where the
    default is another one, the Docker Hub is named: `docker.io/ai/smollm2:latest`.
    """

    default_registry: str = ""

    def tag_of(self, text: str) -> str:
        """The tag that a reference is; "" when it names a digest.

        Raises:
            InvalidNameError: it is no reference.
        """
        self.location_of(text)
        found = self._spelled(text)
        return "" if "@" in found else found

    def location_of(self, text: str) -> Location:
        """Where a reference leads.

        Raises:
            InvalidNameError: nowhere.
        """
        try:
            found = locate(text)
        except ValueError as error:
            raise InvalidNameError(str(error)) from error
        if found.registry == HUB and self._replaced and not _names_hub(text):
            return Location(self.default_registry, found.repository, found.tag, found.digest)
        return found

    def find(self, index: Index, text: str, *, loosely: bool) -> Entry | None:
        """The model that a name means, in whatever spelling.

        Args:
            index: All there are.
            text: An identity, a reference, or with `loosely` its last part alone.
            loosely: Whether a guess is allowed: not where something is removed.
        """
        name = normalize(text)
        if not name:
            return None
        found = by_identity(index, name)
        for spelling in self._spellings(text):
            found = found or index.tagged(spelling)
        return found or (by_last_part(index, text) if loosely else None)

    def named_tag(self, entry: Entry, text: str) -> str:
        """Which of a model's tags a name is; "" when it is none, but an identity."""
        return next((one for one in self._spellings(text) if one in entry.tags), "")

    @property
    def _replaced(self) -> bool:
        return self.default_registry not in {"", *(hub.rstrip("/") for hub in _HUBS)}

    def _spellings(self, text: str) -> tuple[str, ...]:
        """The tags that a name may be, best first.

        Docker's command line writes the Hub before a name that it gives a model, and not where it
        asks for the model by that name: so the Hub's is the last that a short name may mean.
        """
        found = normalize(text)
        return self._spelled(text), found, *((f"{HUB}/{found}",) if self._replaced else ())

    def _spelled(self, text: str) -> str:
        found = normalize(text)
        if not self._replaced:
            return found
        if _names_hub(text):
            return f"{HUB}/{found}"
        rest = found.removeprefix(f"{self.default_registry}/")
        # Without a slash it would be read as another name: that of a model in `ai/`.
        return rest if "/" in rest else found


def _names_hub(text: str) -> bool:
    return text.strip().lower().startswith(_HUBS)
