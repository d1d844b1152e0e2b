"""How large a cache claim has to be."""

from typing import Final

from modelrunner.api.text import format_size
from modelrunner.domain.problem import Problem
from modelrunner.domain.quantities import MIB, parse_quantity
from modelrunner_protocol.reasons import Reason

SLACK: Final = 64 * MIB
"""Room for the file system's own structures on a small volume."""


def needed_bytes(artifact_bytes: int) -> int:
    """The size of a claim for an artifact: a tenth and some slack more, rounded up to whole MiB."""
    with_room = -(-artifact_bytes * 11 // 10) + SLACK
    return -(-with_room // MIB) * MIB


def claim_request(artifact_bytes: int, explicit: str | None) -> str:
    """The storage to ask for: `cache.size` as written, or what the artifact needs."""
    return explicit or f"{needed_bytes(artifact_bytes) // MIB}Mi"


def check_size(artifact_bytes: int, size: str, *, where: str, mend: str) -> Problem | None:
    """Say so when a volume of `size` cannot hold the artifact.

    The bound is the artifact itself and not `needed_bytes`: somebody who sets a size may know
    that their file system needs less room than we would ask for.
    """
    has = parse_quantity(size)
    if has >= artifact_bytes:
        return None
    mebibytes = needed_bytes(artifact_bytes) // MIB
    return Problem(
        Reason.CACHE_TOO_SMALL,
        f"{where} is {size} ({format_size(int(has))}), but the model needs"
        f" {format_size(artifact_bytes)} and some room: {mend.format(size=f'{mebibytes}Mi')}",
    )


def request_of(
    artifact_bytes: int, explicit: str | None, granted: str, *, at_least: int = 0
) -> str:
    """The storage that a claim is to have, given what it asks for already ("": no claim yet).

    A claim that is large enough keeps its size, unless `cache.size` has been raised; claims never
    shrink. `at_least`: what a pull has found to be needed.
    """
    wanted = claim_request(artifact_bytes, explicit)
    if at_least > parse_quantity(wanted):
        wanted = f"{-(-at_least // MIB)}Mi"
    if not granted:
        return wanted
    has = parse_quantity(granted)
    raised = explicit is not None and parse_quantity(explicit) > has
    enough = has >= max(artifact_bytes, at_least) and not raised
    return granted if enough or parse_quantity(wanted) <= has else wanted
