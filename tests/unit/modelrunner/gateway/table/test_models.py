"""A Model object read into its entry, with the statuses that the operator itself decides."""

from typing import Any

import pytest
from hypothesis import given

from modelrunner.domain.conditions import merge, not_cached, not_ready, ready, reconciling, stalled
from modelrunner.gateway.table.entry import ModelEntry, Trouble
from modelrunner.gateway.table.models import place_of, read_model, trouble_of
from modelrunner_protocol.reasons import Reason
from tests.support.table_objects import JSON, condition, model


def read(item: dict[str, Any]) -> ModelEntry:
    """A fresh entry of an object."""
    entry = ModelEntry("ml", "smollm2", "")
    read_model(item, entry)
    return entry


def told(*verdicts: Any, generation: int = 1, **status: Any) -> dict[str, Any]:
    """A Model of generation 1 with the conditions that the operator wrote for `generation`."""
    conditions = merge((), verdicts, generation=generation, now=0)
    return model(status={"conditions": conditions, **status})


def test_what_is_not_said_has_its_default() -> None:
    """A Model that nobody has looked at yet."""
    found = read(model())
    assert (found.engine, found.mode, found.phase) == ("", "completion", "")
    assert (found.max_held, found.hold_timeout) == (100, 300.0)
    assert (found.concurrent, found.per_minute) == (None, None)
    assert (found.aliases, found.asleep) == ((), False)
    assert found.trouble is not None
    assert not found.trouble.hopeless


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({"runtimeFlags": ["--reranking", 5]}, "reranking"),
        ({"rawRuntimeFlags": "--temp 1 --embeddings"}, "embedding"),
        ({"rawRuntimeFlags": "'--embeddings"}, "completion"),
        ({"mode": "reranking", "runtimeFlags": "x"}, "reranking"),
        ({"mode": 5, "rawRuntimeFlags": 5}, "completion"),
        ([], "completion"),
    ],
)
def test_a_mode_that_a_flag_tells(config: Any, mode: str) -> None:
    """As the operator reads it."""
    assert read(model(spec={"config": config})).mode == mode


def test_what_is_said_is_read() -> None:
    """The operator's effective values are in the status, for the gateway reads no ModelRunner."""
    found = read(
        model(
            aliases=["gpt-4o", "ai/smollm2"],
            created="2026-07-02T00:00:00Z",
            spec={"config": {"mode": "embedding"}},
            status={
                "engine": "llama.cpp",
                "phase": "Idle",
                "activation": {"maxHeld": 0, "timeoutSeconds": 12.5},
                "limits": {"concurrentRequests": 4, "requestsPerMinute": 60},
                "conditions": [condition("Ready", "True", "ScaledToZero")],
            },
        )
    )
    assert (found.engine, found.mode, found.phase) == ("llama.cpp", "embedding", "Idle")
    assert (found.max_held, found.hold_timeout) == (0, 12.5)
    assert (found.concurrent, found.per_minute) == (4, 60)
    assert found.aliases == ("gpt-4o", "ai/smollm2")
    assert found.created == "2026-07-02T00:00:00Z"
    assert found.asleep
    assert found.trouble is None
    assert found.spec["aliases"] == ["gpt-4o", "ai/smollm2"]
    assert found.status["phase"] == "Idle"


def test_a_field_that_is_gone_has_its_default_again() -> None:
    """An entry is changed in place and must not remember."""
    found = read(model(aliases=["a"], status={"limits": {"requestsPerMinute": 1}}))
    read_model(model(), found)
    assert (found.aliases, found.per_minute) == ((), None)


def test_a_model_that_goes_on_serving_is_in_no_trouble() -> None:
    """Ready with its previous settings, asleep or not, whatever else is wrong."""
    for well in (Reason.READY, Reason.SCALED_TO_ZERO):
        broken = stalled(Reason.INVALID_CONFIGURATION, "--foo is not allowed")
        assert trouble_of(told(ready(well, "with its previous settings"), broken)) is None


def test_a_model_on_its_way_is_not_hopeless() -> None:
    """Reconciling: it will serve without anybody acting."""
    item = told(
        not_ready(Reason.PULLING, "43 %"),
        not_cached(Reason.PULLING, "43 %"),
        reconciling(Reason.PULLING, "43 %"),
    )
    assert trouble_of(item) == Trouble("Pulling", "43 %", hopeless=False)


@pytest.mark.parametrize(
    "reason", [Reason.UNSCHEDULABLE, Reason.PULL_FAILED, Reason.CRASH_LOOPING, Reason.OUT_OF_MEMORY]
)
def test_a_stalled_model_is_hopeless(reason: Reason) -> None:
    """Somebody has to act, so nobody is kept waiting; the words are the operator's."""
    item = told(not_ready(reason, "why and what to do"), stalled(reason, "why and what to do"))
    assert trouble_of(item) == Trouble(str(reason), "why and what to do", hopeless=True)


def test_a_condition_of_an_older_generation_gives_hope() -> None:
    """The user has just mended it, and the operator has not looked yet."""
    verdicts = (not_ready(Reason.PULL_FAILED, "404"), stalled(Reason.PULL_FAILED, "404"))
    mended = told(*verdicts)
    mended["metadata"]["generation"] = 2
    assert trouble_of(mended) == Trouble("PullFailed", "404", hopeless=False)
    unmarked = told(*verdicts)
    for found in unmarked["status"]["conditions"]:
        del found["observedGeneration"]
    assert trouble_of(unmarked) == Trouble("PullFailed", "404", hopeless=False)


def test_wrong_settings_are_not_hopeless_while_older_ones_start() -> None:
    """A sleeping Model with a faulty edit is woken with its previous settings: it will serve.

    Without a Deployment there is nothing that could. A fault of the pods themselves counts.
    """
    wrong = (
        not_ready(Reason.INVALID_CONFIGURATION, "no"),
        stalled(Reason.INVALID_CONFIGURATION, "no"),
    )
    crashing = (not_ready(Reason.CRASH_LOOPING, "no"), stalled(Reason.CRASH_LOOPING, "no"))
    cases = {(wrong, 1): False, (wrong, 0): True, (crashing, 1): True}
    for (verdicts, replicas), hopeless in cases.items():
        status = {"replicas": replicas} if replicas else {}
        found = trouble_of(told(*verdicts, **status))
        assert found is not None
        assert found.hopeless is hopeless


def test_a_model_being_deleted_is_hopeless() -> None:
    """Nobody wakes it any more, even while its last condition says Ready."""
    item = told(ready(Reason.READY, ""))
    item["metadata"]["deletionTimestamp"] = "2026-07-01T00:00:00Z"
    found = trouble_of(item)
    assert found is not None
    assert (found.reason, found.hopeless) == ("Terminating", True)


def test_an_object_without_a_place_is_none() -> None:
    """The feed passes over it."""
    assert place_of({}) is None
    assert place_of({"metadata": {"name": "x"}}) is None
    assert place_of(model("ml/x")) == ("ml", "x")


@given(spec=JSON, status=JSON, metadata=JSON, aliases=JSON, limits=JSON, conditions=JSON)
def test_any_json_is_read(**parts: Any) -> None:
    """A wrong type anywhere is a default, never an error."""
    shaped = model(spec={"aliases": parts["aliases"], "config": parts["spec"]})
    shaped["status"] = {
        "conditions": parts["conditions"],
        "activation": parts["limits"],
        "limits": {"concurrentRequests": parts["limits"], "requestsPerMinute": parts["spec"]},
    }
    bare = {key: parts[key] for key in ("spec", "status", "metadata")}
    for item in (shaped, bare):
        found = read(item)
        assert isinstance(found.max_held, int)
        assert found.hold_timeout > 0
        assert all(isinstance(alias, str) for alias in found.aliases)
        assert isinstance(found.spec, dict)
