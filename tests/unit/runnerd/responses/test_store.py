"""Responses that are kept for a while."""

import json
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from runnerd.responses.store import TTL, Store, Turn


class Shop:
    """A store with a clock of its own."""

    def __init__(self, limit: int = 1 << 20, **more: Any) -> None:
        self.time = 0.0
        self.store = Store(limit, lambda: self.time, **more)

    def put(self, name: str, before: Turn | None = None, text: str = "") -> Turn | None:
        """Keep a response whose input and output are named after it."""
        items = [{"id": f"in-{name}", "text": text}]
        response = {"id": name, "output": [{"id": f"out-{name}"}]}
        self.store.put(response, json.dumps(response).encode(), items, before)
        return self.store.find(name)


def names(turn: Turn | None) -> list[str]:
    """The IDs of all items up to the end of a turn."""
    assert turn is not None
    return [item["id"] for item in turn.history()]


def test_what_was_said_before() -> None:
    """The whole of it, input and output, in its order."""
    shop = Shop()
    first = shop.put("a")
    second = shop.put("b", first)
    third = shop.put("c", second)
    assert names(third) == ["in-a", "out-a", "in-b", "out-b", "in-c", "out-c"]
    assert names(first) == ["in-a", "out-a"]
    assert [item["id"] for item in third.input_items()] == ["in-c"] if third else False


def test_a_deleted_response() -> None:
    """It is not found any more, and those that go on from it keep what it said."""
    shop = Shop()
    second = shop.put("b", shop.put("a"))
    assert shop.store.delete("a")
    assert not shop.store.delete("a")
    assert shop.store.find("a") is None
    assert shop.store.item("out-a") is None
    assert names(second) == ["in-a", "out-a", "in-b", "out-b"]
    assert second is not None
    assert second.before is not None
    assert shop.store.size == second.size + second.before.size
    assert shop.store.delete("b")
    assert shop.store.size == 0


def test_an_hour() -> None:
    """From when it was made, not from when it was last asked for."""
    shop = Shop()
    shop.put("a")
    shop.time = TTL - 1
    shop.put("b")
    assert shop.store.find("a") is not None
    shop.time = TTL
    assert shop.store.find("a") is None
    assert shop.store.find("b") is not None
    assert len(shop.store) == 1
    shop.time = 3 * TTL
    assert len(shop.store) == shop.store.size == 0


def test_items() -> None:
    """Of input and output, by their IDs."""
    shop = Shop()
    shop.put("a", text="x")
    assert shop.store.item("in-a") == {"id": "in-a", "text": "x"}
    assert shop.store.item("out-a") == {"id": "out-a"}
    assert shop.store.item("out-b") is None


def test_the_oldest_leave_first() -> None:
    """By count and by bytes; what is larger than all room is not kept."""
    shop = Shop(most=2)
    for name in "abc":
        shop.put(name)
    assert [shop.store.find(name) is not None for name in "abc"] == [False, True, True]
    small = Shop(limit=5000)
    small.put("a", text="x" * 1000)
    small.put("b", text="x" * 1000)
    assert len(small.store) == 2
    small.put("c", text="x" * 1000)
    assert small.store.find("a") is None
    assert small.store.size <= 5000
    assert small.put("d", text="x" * 5000) is None
    assert len(small.store) == 2
    assert Shop(limit=0).put("a") is None


def test_a_long_story_within_little_room() -> None:
    """What a response goes on from is counted with it, so such a one may not be kept at all."""
    shop = Shop(limit=4000)
    turn = None
    for number in range(10):
        turn = shop.put(str(number), turn, text="x" * 500) or turn
        assert shop.store.size <= 4000


class Keeping(RuleBasedStateMachine):
    """Turns come, go on from others, and leave; what is counted is what is held."""

    turns = Bundle("turns")

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(limit=12_000, most=6)
        self.count = 0

    @rule(target=turns, size=st.integers(0, 3000))
    def begin(self, size: int) -> str:
        """A new story."""
        self.count += 1
        self.shop.put(str(self.count), text="x" * size)
        return str(self.count)

    @rule(target=turns, before=turns, size=st.integers(0, 3000))
    def go_on(self, before: str, size: int) -> str:
        """The story of another goes on, if that is still there."""
        self.count += 1
        self.shop.put(str(self.count), self.shop.store.find(before), text="x" * size)
        return str(self.count)

    @rule(turn=consumes(turns))
    def delete(self, turn: str) -> None:
        """One is deleted."""
        self.shop.store.delete(turn)
        assert self.shop.store.find(turn) is None

    @rule(seconds=st.sampled_from([1.0, TTL / 2]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.shop.time += seconds

    @invariant()
    def bounded_and_counted(self) -> None:
        """The size is that of all turns that can be reached, and within the limit."""
        kept = [self.shop.store.find(str(number)) for number in range(self.count + 1)]
        reached: dict[int, int] = {}
        for turn in kept:
            going = turn
            while going is not None:
                reached[id(going)] = going.size
                going = going.before
        assert self.shop.store.size == sum(reached.values()) <= 12_000
        assert len(self.shop.store) <= 6


TestKeeping = Keeping.TestCase
TestKeeping.settings = hypothesis_settings(max_examples=40, stateful_step_count=20)


def test_an_item_is_not_replaced() -> None:
    """By a client that writes its ID into an input of its own."""
    shop = Shop()
    shop.put("a", text="mine")
    stolen = {"id": "b", "output": []}
    shop.store.put(stolen, b"{}", [{"id": "in-a", "text": "other"}], None)
    assert shop.store.item("in-a") == {"id": "in-a", "text": "mine"}
