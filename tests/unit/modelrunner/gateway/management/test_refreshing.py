"""Whether it makes sense to look at a source again, and what a client is told of the look."""

from typing import Any

import pytest

from modelrunner.gateway.management.progress import GONE, Failed, Pulled, Pulling
from modelrunner.gateway.management.refreshing import (
    LOOKING,
    PATIENCE,
    Judge,
    Request,
    can_move,
)
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from tests.support.table_objects import Object, condition, model

CACHED = condition("Cached", "True", "Cached")
READY = condition("Ready", "True", "Ready")
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MOVES = {"source": {"oci": {"reference": "ai/x"}}}
FIXED = f"ai/x@{OLD}"
KEY = {"sourceKey": "k", "key": "k"}


def _not(kind: str, reason: str, message: str = "why") -> Object:
    return condition(kind, "False", reason, message)


def _stalled(reason: str) -> Object:
    return condition("Stalled", "True", reason, "why")


class Table:
    """One Model, as its watch tells of it again and again."""

    def __init__(self) -> None:
        self._table = RouteTable()
        self._version = 0

    def told(
        self, *conditions: Object, refresh: str = "", generation: int = 1, **more: Any
    ) -> ModelEntry:
        """Its entry. `more`: of the status; `spec` is the Model's."""
        self._version += 1
        spec = more.pop("spec", MOVES)
        status = {"conditions": list(conditions), **more}
        notes = {"modelrunner.dev/refresh": refresh} if refresh else {}
        self._table.put_model(
            model(
                version=self._version,
                generation=generation,
                spec=spec,
                status=status,
                annotations=notes,
            )
        )
        found = self._table.find("ml/smollm2")
        assert found is not None
        return found


@pytest.mark.parametrize(
    ("source", "moves"),
    [
        ({"oci": {"reference": "ai/x"}}, True),
        ({"oci": {"reference": FIXED}}, False),
        ({"huggingFace": {"repository": "o/n"}}, True),
        ({"huggingFace": {"repository": "o/n", "revision": "a" * 40}}, False),
        ({"http": {"url": "http://x.example.com/x.gguf"}}, True),
        ({"http": {"url": "http://x.example.com/x.gguf", "sha256": "a" * 64}}, False),
        ({"s3": {"bucket": "b", "key": "x.gguf"}}, True),
        ({"persistentVolumeClaim": {"name": "c", "path": "x.gguf"}}, False),
        ({"from a later version": {}}, False),
        (None, False),
    ],
    ids=range(10),
)
def test_sources(source: Any, moves: bool) -> None:
    """What is named by its bytes is never looked at again, nor what nobody understands."""
    assert can_move(Table().told(READY, CACHED, spec={"source": source})) is moves


@pytest.mark.parametrize(
    ("conditions", "looks"),
    [
        ((READY, CACHED), True),
        ((_not("Ready", "CrashLooping"), CACHED, _stalled("CrashLooping")), True),
        ((_not("Ready", "PullFailed"), _not("Cached", "PullFailed"), _stalled("PullFailed")), True),
        ((READY, _not("Cached", "PullFailed"), _stalled("PullFailed")), True),
        # On their way: there is something to follow.
        ((), False),
        ((_not("Ready", "Pulling"), _not("Cached", "Pulling")), False),
        ((READY, _not("Cached", "Pulling")), False),
        # The operator does nothing for them before somebody acts.
        ((_not("Ready", "RunnerNotFound"), CACHED, _stalled("RunnerNotFound")), False),
        ((READY, CACHED, _stalled("InvalidConfiguration")), False),
    ],
    ids=range(9),
)
def test_states(conditions: tuple[Object, ...], looks: bool) -> None:
    """A look is asked for where weights are, or where newer ones may mend what is wrong."""
    assert can_move(Table().told(*conditions)) is looks


class Asked:
    """A look that was asked for, whose answer is awaited."""

    def __init__(self) -> None:
        self.table = Table()
        self.now = 100.0
        self.told(source=KEY)
        self.judge = Judge(Request("mine", 2, ("", OLD)), lambda: self.now)

    def told(self, *conditions: Object, **more: Any) -> ModelEntry:
        """The operator tells of the Model, which is cached unless that is said."""
        usual: dict[str, Any] = {"artifact": {"digest": OLD, "sizeBytes": 7}, "refresh": "mine"}
        return self.table.told(*(conditions or (READY, CACHED)), **{**usual, **more})


def test_a_source_that_has_not_moved() -> None:
    """It is looked at, and then everything is as it was; a first version has got its name only."""
    asked = Asked()
    assert asked.judge(asked.told()) == Pulling(message=LOOKING)
    assert asked.judge(asked.told(source={**KEY, "handledRefresh": "mine"})) == Pulled(7, here=True)


@pytest.mark.parametrize(
    "more",
    [{"source": {**KEY, "key": "2", "handledRefresh": "mine"}}, {"artifact": {"digest": NEW}}],
)
def test_a_newer_version(more: dict[str, Any]) -> None:
    """It is told step by step, though the former one serves all the time."""
    asked = Asked()
    source = {"source": {**KEY, "handledRefresh": "mine"}, **more}
    pulling = _not("Cached", "Pulling", "pulling a newer version of x")
    found = asked.judge(asked.told(READY, pulling, download={"totalBytes": 9}, **source))
    assert isinstance(found, Pulling)
    assert (found.message, found.total) == ("pulling a newer version of x", 9)
    again = _not("Cached", "PullFailed", "the registry is busy")
    found = asked.judge(asked.told(READY, again, **source))
    assert isinstance(found, Pulling)
    assert found.troubled
    # Another look may be asked for meanwhile: this one has had its answer.
    found = asked.judge(asked.told(refresh="another", **source))
    assert isinstance(found, Pulled)
    assert not found.here


def test_a_newer_version_that_cannot_be_pulled() -> None:
    """It ends with the reason; what serves goes on."""
    asked = Asked()
    told = asked.told(
        READY,
        _not("Cached", "PullFailed"),
        _stalled("PullFailed"),
        source={**KEY, "key": "2", "handledRefresh": "mine"},
    )
    assert asked.judge(told) == Failed("PullFailed", "why")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"handledRefresh": "mine", "message": "no right to read it"}, "no right to read it"),
        (
            {"failures": 1, "failedRefresh": "mine", "message": "It is away."},
            "It is away; it is tried again by itself",
        ),
    ],
)
def test_a_look_that_failed(source: Object, words: str) -> None:
    """It is told with its reason, also while it is tried again: that may be an hour away."""
    asked = Asked()
    assert asked.judge(asked.told(source={**KEY, **source})) == Failed("RefreshFailed", words)


@pytest.mark.parametrize("newest", ["", "another"])
def test_requests_of_others(newest: str) -> None:
    """Who asks anew gets the answer for all; one that was taken back is waited for by nobody."""
    asked = Asked()
    found = asked.judge(asked.told(refresh=newest, source={**KEY, "handledRefresh": newest}))
    assert found == Pulled(7, here=True)


def test_an_earlier_failure() -> None:
    """A request that comes after it is looked for at once, so that is waited for."""
    asked = Asked()
    source = {**KEY, "failures": 3, "failedRefresh": "old", "message": "It is away."}
    asked.judge = Judge(Request("mine", 2, ("", OLD), "It is away."), lambda: asked.now)
    assert asked.judge(asked.told(source=source)) == Pulling(message=LOOKING)


def test_an_answer_to_an_older_request() -> None:
    """It is none to a request that the watch has not told of yet."""
    asked = Asked()
    asked.judge = Judge(Request("mine", 99, ("", OLD)), lambda: asked.now)
    found = asked.judge(asked.told(refresh="old", source={**KEY, "handledRefresh": "old"}))
    assert found == Pulling(message=LOOKING)


def test_nobody_answers() -> None:
    """After a while that is told, and what might be wrong."""
    asked = Asked()
    entry = asked.told()
    asked.now += PATIENCE - 1
    assert asked.judge(entry) == Pulling(message=LOOKING)
    asked.now += 1
    found = asked.judge(entry)
    assert isinstance(found, Failed)
    assert found.text.startswith("RefreshFailed: nobody has told for 180 s whether the source has")
    assert "is the operator running?" in found.message


def test_a_look_that_cannot_begin() -> None:
    """Whoever waits is told why, at once and at the end; what was said before is of another look."""
    asked = Asked()
    waits = asked.told(source={**KEY, "message": "no room in the quota."})
    assert asked.judge(waits) == Pulling(message="no room in the quota.", troubled=True)
    asked.now += PATIENCE
    found = asked.judge(waits)
    assert isinstance(found, Failed)
    assert "180 s whether the source has moved: no room in the quota. The Model's" in found.message
    assert "running?" not in found.message
    asked.judge = Judge(Request("mine", 2, ("", OLD), "no room in the quota."), lambda: asked.now)
    assert asked.judge(waits) == Pulling(message=LOOKING)


FIRST, SECOND, THIRD = (f"2026-07-01T12:00:0{second}.000000+00:00" for second in (1, 2, 3))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"handledRefresh": SECOND}, Pulled(7, here=True)),
        (
            {"failures": 1, "failedRefresh": SECOND, "message": "It is away."},
            Failed("RefreshFailed", "It is away; it is tried again by itself"),
        ),
        ({"handledRefresh": "2026-07-01T12:00:00.000000+00:00"}, Pulling(message=LOOKING)),
        # Only what a gateway has written is surely a moment.
        ({"handledRefresh": "Wed Jul  1 12:00:02 UTC 2026"}, Pulling(message=LOOKING)),
        ({"handledRefresh": "2999-99-99T99:99:99.999999+00:00"}, Pulling(message=LOOKING)),
    ],
    ids=range(5),
)
def test_later_requests_of_other_gateways(source: Object, expected: Pulled | Failed) -> None:
    """The answer to a later one is one to all before it, though another one waits already."""
    asked = Asked()
    asked.judge = Judge(Request(FIRST, 2, ("", OLD)), lambda: asked.now)
    assert asked.judge(asked.told(refresh=THIRD, source={**KEY, **source})) == expected


def test_the_former_settings_fault() -> None:
    """After an edit it stalls nobody: what is pulled now is followed."""
    table = Table()
    served = READY, _not("Cached", "PullFailed"), _stalled("PullFailed")
    assert can_move(table.told(*served))
    assert not can_move(table.told(*served, generation=2))


def test_settings_that_break_meanwhile() -> None:
    """The operator looks at nothing then, and says why."""
    asked = Asked()
    told = asked.told(_not("Ready", "RunnerNotFound"), CACHED, _stalled("RunnerNotFound"))
    assert asked.judge(told) == Failed("RunnerNotFound", "why")


def test_a_model_that_goes() -> None:
    """There is nothing to tell any more."""
    asked = Asked()
    entry = asked.told()
    entry.gone = True
    assert asked.judge(entry) == GONE
