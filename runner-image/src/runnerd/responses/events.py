"""The events of one response: which one comes after which. Pure.

    created, in_progress, { item added, part added, deltas, done, part done, item done }, the end

One item is open at a time, and each event has the next `sequence_number`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from runnerd.responses.frame import Frame, encode
from runnerd.responses.items import Item, NewId
from runnerd.responses.open_item import CALL, MESSAGE, REASONING, OpenItem, Told, word_of
from runnerd.responses.spoken import Piece


class Events:
    """Gives the events of what is said, as text in ASCII."""

    def __init__(self, frame: Frame, new_id: NewId) -> None:
        self._frame = frame
        self._new_id = new_id
        self._number = 0
        self._open: OpenItem | None = None
        self._output: list[Item] = []
        self._called: set[int] = set()
        self._told: list[str] = []

    def begin(self) -> str:
        """The first ones."""
        begun = {"response": self._frame.begun()}
        self._tell([("response.created", begun), ("response.in_progress", begun)])
        return self._taken()

    def say(self, piece: Piece) -> str:
        """Those of a piece.

        Raises:
            LookupError, TypeError, AttributeError, ValueError: it makes no sense. What it said
                before that is told by `fail`.
        """
        if piece.thoughts:
            self._delta(self._turn(REASONING), piece.thoughts)
        if piece.text:
            self._delta(self._turn(MESSAGE), piece.text, piece.logprobs)
        for call in piece.calls:
            self._call(call)
        return self._taken()

    def end(
        self, reason: str, usage: Mapping[str, Any] | None, now: int
    ) -> tuple[str, dict[str, Any]]:
        """The last ones, and the response. `reason`: why it is not whole, "" when it is."""
        if self._open is None and not self._output:
            # Every answer has an item, be it an empty one.
            self._turn(MESSAGE)
        self._close("incomplete" if reason else "completed")
        response = self._frame.ended(self._output, reason, usage, now)
        self._tell([(f"response.{response['status']}", {"response": response})])
        return self._taken(), response

    def fail(self, message: str, code: str) -> tuple[str, dict[str, Any]]:
        """An error, then the failed response, as OpenAI does it.

        The first has its members at its top and again in `error`, which is where openai-python
        looks for something to raise.
        """
        if self._open is not None:
            self._output.append(self._open.broken_off())
            self._open = None
        error = {"message": message, "type": "server_error", "code": code, "param": None}
        told = {"code": code, "message": message, "param": None, "error": error}
        response = self._frame.failed(self._output, message)
        self._tell([("error", told), ("response.failed", {"response": response})])
        return self._taken(), response

    def _turn(self, kind: str) -> OpenItem:
        """Go over to an item of this kind, unless it is the open one."""
        if self._open is not None and self._open.kind == kind:
            return self._open
        return self._begin(OpenItem(kind, self._new_id(word_of(kind)), self._place()))

    def _call(self, call: Mapping[str, Any]) -> None:
        index, function = call.get("index") or 0, call.get("function") or {}
        item = self._open
        if item is None or item.call != index:
            if index in self._called:
                raise ValueError("a call goes on that has ended")
            name = function["name"]
            self._called.add(index)
            item = self._begin(
                OpenItem(
                    CALL,
                    self._new_id(word_of(CALL)),
                    self._place(),
                    call=index,
                    call_id=call.get("id") or self._new_id("call"),
                    name=name,
                )
            )
        if arguments := function.get("arguments"):
            self._delta(item, arguments)

    def _place(self) -> int:
        return len(self._output) + (self._open is not None)

    def _begin(self, item: OpenItem) -> OpenItem:
        self._close("completed")
        self._open = item
        self._tell(item.added())
        return item

    def _close(self, status: str) -> None:
        if self._open is not None:
            events, item = self._open.done(status)
            self._open = None
            self._output.append(item)
            self._tell(events)

    def _delta(
        self, item: OpenItem, piece: str, logprobs: list[dict[str, Any]] | None = None
    ) -> None:
        found = logprobs or []
        told = item.delta(self._number, piece, found, encode(found) if found else "[]")
        self._told.append(told)
        self._number += 1

    def _tell(self, events: Iterable[Told]) -> None:
        for name, members in events:
            data = encode({"type": name, "sequence_number": self._number, **members})
            self._told.append(f"event: {name}\ndata: {data}\n\n")
            self._number += 1

    def _taken(self) -> str:
        """All that was not given yet."""
        told, self._told = "".join(self._told), []
        return told
