"""Who a name belongs to: among Models, and between the operator and everybody else."""

from collections.abc import Sequence

from modelrunner.domain.names import Claimant
from modelrunner.domain.objects import Object, controller_uid, is_managed, name_of
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason


def lost_names(model: str, lost: Sequence[tuple[str, Claimant]]) -> Problem | None:
    """Say which names of a Model go to others. It serves all the same, under its other names.

    Args:
        model: `namespace/name` of the Model.
        lost: names as written with those who have them (see names.losses).
    """
    if not lost:
        return None
    told = ", ".join(f"{name!r} goes to {owner.path}" for name, owner in lost)
    own = model.rpartition("/")[2]
    mends = [
        *(["give this Model another name"] if any(name == own for name, _ in lost) else []),
        *(["remove the alias here"] if any(name != own for name, _ in lost) else []),
        "remove it there",
    ]
    return Problem(
        Reason.NAME_CONFLICT,
        f"an older Model has the name: {told}. Mend: {', or '.join(mends)}."
        f" {model!r} always reaches this one",
    )


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
