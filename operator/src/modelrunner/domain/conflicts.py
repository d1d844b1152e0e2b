"""Who a name belongs to: among Models, and between the operator and everybody else."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelrunner.domain.objects import Object, controller_uid, is_managed, name_of
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """A Model with the names it wants to answer to, its own among them."""

    name: str
    uid: str
    created: float
    names: frozenset[str]

    @property
    def age_order(self) -> tuple[float, str]:
        """Sorts the older first; the uid decides within one second."""
        return (self.created, self.uid)


def name_conflict(model: Claimant, others: Iterable[Claimant]) -> Problem | None:
    """Say so when an older Model of the namespace already has one of the names."""
    for other in sorted(others, key=lambda one: one.age_order):
        shared = model.names & other.names
        if other.uid != model.uid and shared and other.age_order < model.age_order:
            taken = ", ".join(repr(name) for name in sorted(shared))
            mend = "remove the alias" if shared != {model.name} else "use another name"
            return Problem(
                Reason.NAME_CONFLICT,
                f"the name {taken} belongs to the older Model {other.name}: {mend}, or remove it there",
            )
    return None


def foreign(obj: Object | None, kind: str, *, model: str, uid: str) -> Problem | None:
    """Say so when an object that we would write belongs to somebody else."""
    if obj is None or controller_uid(obj) == uid or is_managed(obj, model):
        return None
    return Problem(
        Reason.NAME_CONFLICT,
        f"a {kind} named {name_of(obj)} is there already and does not belong to this Model: rename the"
        f" Model, or delete that {kind}",
    )


def left_over(obj: Object | None, *, uid: str) -> bool:
    """Whether an object of ours belongs to an earlier Model of the same name and will be collected."""
    owner = controller_uid(obj) if obj is not None else ""
    return owner not in {"", uid}
