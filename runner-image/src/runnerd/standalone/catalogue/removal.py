"""What removing a name does. Pure.

Source: docker/model-runner `pkg/distribution/distribution/client.go` (`DeleteModel`).
"""

from enum import StrEnum

from runnerd.standalone.catalogue.index import Entry, Index


class Removal(StrEnum):
    """What one step did, in Docker Model Runner's words."""

    UNTAGGED = "Untagged"
    DELETED = "Deleted"


Step = tuple[Removal, str]
"""What was done, and to which tag or identity."""


class SeveralTagsError(Exception):
    """A model that several tags lead to is removed by its identity only with force."""


def removal(index: Index, entry: Entry, tag: str, *, force: bool) -> tuple[list[Step], Index]:
    """The steps, and the index after them.

    Args:
        index: All there are.
        entry: The model that was named.
        tag: By which it was named; "" when that was its identity.
        force: Whether all its tags may go at once.

    Raises:
        SeveralTagsError: it may not, and there are several.
    """
    if tag and len(entry.tags) > 1:
        return [(Removal.UNTAGGED, tag)], index.untag(tag)
    if len(entry.tags) > 1 and not force:
        raise SeveralTagsError(
            f"several tags lead to {entry.identity} ({', '.join(entry.tags)}): remove them one by "
            "one, or all with force"
        )
    steps = [(Removal.UNTAGGED, one) for one in entry.tags]
    return [*steps, (Removal.DELETED, entry.identity)], index.remove(entry.identity)
