"""Is a cache still what was pulled? Asked by an annotation on the Model, answered by a Job.

A Job that finds damage sets the files apart; then the cache is no longer complete, and the ordinary
pull fetches what is missing. Runners may have the damaged bytes in their memory: the cache carries
a mark of its renewal, which is part of their pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelrunner.domain.cache import JobWish
from modelrunner.domain.jobs import JobState, JobView
from modelrunner.domain.naming import VERIFY_ANNOTATION
from modelrunner.domain.objects import Object, annotation, dig, format_time, text, uid_of

SOUND = "Sound"
DAMAGED = "Damaged"
FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFacts:
    """What was observed of a request to verify.

    `renewed` is the mark that our own claim carries, `repaired` whether a pull has succeeded since
    where the claim is not ours. `in_place`: nothing can be pulled.
    """

    now: float
    model: Object
    key: str
    job: Object | None
    view: JobView | None
    owned: bool
    in_place: bool
    renewed: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What becomes of a request.

    `verified` is the answer to store in `status.verified`, None while there is no new one.
    `damaged`: the cache has to be filled again before it counts as complete. `mark` is what tells
    a cache that was renewed because of this Job.
    """

    wanted: bool = False
    job: JobWish = JobWish.KEEP
    verified: dict[str, Any] | None = None
    damaged: bool = False
    mark: str = ""


def decide_verification(facts: VerifyFacts) -> Verification:
    """Judge the Job that was asked for; whether one is made waits for a complete cache."""
    request = annotation(facts.model, VERIFY_ANNOTATION)
    answered = text(facts.model, "status", "verified", "request")
    gone = facts.job is None or facts.view is None or facts.view.state is JobState.GOING
    if not request or request == answered:
        return Verification(job=JobWish.KEEP if gone else JobWish.NONE)
    if facts.job is None or facts.view is None:
        return Verification(wanted=True, job=JobWish.CREATE)
    if annotation(facts.job, VERIFY_ANNOTATION) != request and not gone:
        return Verification(wanted=True, job=JobWish.NONE)
    if facts.view.state not in {JobState.SUCCEEDED, JobState.FAILED}:
        return Verification(wanted=True)
    return _answer(facts, facts.view, uid_of(facts.job), request)


def _answer(facts: VerifyFacts, view: JobView, mark: str, request: str) -> Verification:
    outcome = view.outcome
    sound = view.state is JobState.SUCCEEDED
    broken = not sound and outcome is not None and outcome.damaged
    message = view.problem.message if view.problem is not None else ""
    if outcome is not None and outcome.message:
        message = outcome.message
    found: dict[str, Any] = {
        "time": format_time(view.finished_at or facts.now),
        "request": request,
        "result": SOUND if sound else DAMAGED if broken else FAILED,
        "message": message or "every file is what it should be",
        "key": facts.key,
    }
    if sound and view.artifact is not None and view.artifact.digest:
        found["digest"] = view.artifact.digest
    if not broken or facts.in_place:
        return Verification(wanted=True, verified=found)
    if facts.owned:
        return Verification(wanted=True, verified=found, damaged=facts.renewed != mark, mark=mark)
    if facts.repaired:
        return Verification(wanted=True, verified=found, mark=mark)
    return Verification(wanted=True, damaged=True, mark=mark)


def verified_status(
    old: Mapping[str, Any], verification: Verification | None, key: str
) -> dict[str, Any] | None:
    """`status.verified`: the last answer about these very weights."""
    if verification is not None and verification.verified is not None:
        return verification.verified
    known = dig(old, "verified")
    return dict(known) if isinstance(known, Mapping) and known.get("key") == key else None


def verified_digest(verified: Mapping[str, Any] | None) -> str:
    """What weights that are used in place were found to be, "" while nobody has looked."""
    return text(verified, "digest") if verified is not None else ""
