"""Responses that are kept for a while, in memory. Pure: the clock comes in as an argument.

A response keeps what it goes on from: the turns before it are held by it, also when they are
no longer found under IDs of their own. Each turn is counted once.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from runnerd.responses.items import Item

TTL: Final = 3600.0
"""Seconds that a response is kept; docker/model-runner `pkg/responses/store.go` keeps them so."""

_MOST_RESPONSES: Final = 10_000
_OVERHEAD: Final = 1024
"""Bytes that a turn takes beside its texts, about."""


@dataclass(slots=True, eq=False)
class Turn:
    """One response: its input and itself, as JSON, and the turn that it goes on from.

    `holders`: the entry of the store and the turns that go on from it.
    """

    input: bytes
    response: bytes
    before: "Turn | None"
    expires: float = 0.0
    items: tuple[str, ...] = ()
    holders: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.input) + len(self.response) + _OVERHEAD

    def input_items(self) -> list[Item]:
        """The items of its input."""
        found: list[Item] = json.loads(self.input)
        return found

    def output(self) -> list[Item]:
        """The items that the model gave."""
        found: list[Item] = json.loads(self.response)["output"]
        return found

    def history(self) -> list[Item]:
        """Every item up to its end, the oldest first."""
        turns: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.before
        return [item for turn in reversed(turns) for item in (*turn.input_items(), *turn.output())]


class Store:
    """Keeps responses by ID: at most `limit` bytes, the oldest leave first. 0 keeps nothing."""

    def __init__(
        self, limit: int, now: Callable[[], float], *, most: int = _MOST_RESPONSES
    ) -> None:
        self._limit = limit
        self._now = now
        self._most = most
        self._turns: OrderedDict[str, Turn] = OrderedDict()
        self._items: dict[str, str] = {}
        self.size = 0

    def __len__(self) -> int:
        """How many there are."""
        self._expire()
        return len(self._turns)

    def find(self, identity: str) -> Turn | None:
        """A response by its ID."""
        self._expire()
        return self._turns.get(identity)

    def item(self, identity: str) -> Item | None:
        """An item by its ID, of the input or the output of any response."""
        self._expire()
        owner = self._items.get(identity)
        turn = self._turns.get(owner) if owner is not None else None
        if turn is None:
            return None
        found = (*turn.input_items(), *turn.output())
        return next((one for one in found if one["id"] == identity), None)

    def put(
        self, response: dict[str, Any], raw: bytes, items: Sequence[Item], before: Turn | None
    ) -> None:
        """Keep a response. `raw` is its JSON, `items` its input, `before` what it goes on from."""
        names = tuple(item["id"] for item in (*items, *response["output"]))
        turn = Turn(json.dumps(items).encode(), raw, before, self._now() + TTL, names)
        if turn.size > self._limit:
            return
        self._drop(response["id"])
        self._turns[response["id"]] = turn
        self._hold(turn)
        for name in names:
            # Clients write IDs of input themselves: an item that is there is not replaced.
            self._items.setdefault(name, response["id"])
        self._expire()
        while self.size > self._limit or len(self._turns) > self._most:
            self._drop(next(iter(self._turns)))

    def delete(self, identity: str) -> bool:
        """Forget a response; whether it was there. Those that go on from it keep what it said."""
        self._expire()
        return self._drop(identity)

    def _expire(self) -> None:
        now = self._now()
        while self._turns:
            identity, turn = next(iter(self._turns.items()))
            if turn.expires > now:
                return
            self._drop(identity)

    def _drop(self, identity: str) -> bool:
        turn = self._turns.pop(identity, None)
        if turn is None:
            return False
        for item in turn.items:
            if self._items.get(item) == identity:
                del self._items[item]
        self._release(turn)
        return True

    def _hold(self, turn: Turn) -> None:
        """Count a turn that is new, and whichever before it are not held by anything now."""
        going: Turn | None = turn
        while going is not None:
            going.holders += 1
            if going.holders > 1:
                return
            self.size += going.size
            going = going.before

    def _release(self, turn: Turn) -> None:
        going: Turn | None = turn
        while going is not None:
            going.holders -= 1
            if going.holders:
                return
            self.size -= going.size
            going = going.before
