"""What is remembered of a Model between two looks.

All of it may be lost, as it is on a restart: then nothing is known of the demand so far, which
scales nothing down, and the next write that tells nothing but use waits a whole minute.
"""

from dataclasses import dataclass, field

from modelrunner.domain.effective import Effective
from modelrunner.domain.objects import Object, text, uid_of
from modelrunner.domain.scaling import Demand
from modelrunner.domain.volumes import Reach
from modelrunner.domain.volumes_limit import Limit


@dataclass(frozen=True, slots=True)
class Resting:
    """A full look that found nothing to do: until something changes, a glance is enough.

    `seal` stands for the state of all objects that were looked at (see glancing). `until`: then a
    full look is due all the same, for what nobody tells. `due`: then the source is looked at.
    """

    seal: tuple[object, ...]
    settings: Effective
    since: float
    until: float
    reach: Reach = Reach.ANYWHERE
    due: float | None = None


@dataclass(slots=True)
class Record:
    """Of one Model. Times are seconds since the epoch.

    `written_at`: when its use was last written, or it was first looked at. `used`: its last use.
    `doorless`: uids of pods that have no door to close. `denied_at`: when the server last refused
    to let us scale it, for good and not because somebody was first. `resting`: see there. `limit`:
    how many runners its volume carries, once `looked` for what an earlier process has told of it.
    """

    uid: str
    written_at: float
    demand: Demand = field(default_factory=Demand)
    used: float | None = None
    doorless: set[str] = field(default_factory=set)
    denied_at: float | None = None
    resting: Resting | None = None
    limit: Limit | None = None
    looked: bool = False


class Ledger:
    """The records of all Models."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Record] = {}

    def of(self, model: Object, now: float) -> Record:
        """The record of a Model; a new one for one that was not looked at before."""
        key = (text(model, "metadata", "namespace"), text(model, "metadata", "name"))
        known = self._records.get(key)
        if known is None or known.uid != uid_of(model):
            known = self._records[key] = Record(uid_of(model), written_at=now)
        return known

    def forget(self, key: tuple[str, str]) -> None:
        """Drop what is known of a Model that is gone."""
        self._records.pop(key, None)
