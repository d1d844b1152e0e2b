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

    def begin(self) -> str:
        """The first ones."""
        begun = {"response": self._frame.begun()}
        return self._tell([("response.created", begun), ("response.in_progress", begun)])

    def say(self, piece: Piece) -> str:
        """Those of a piece.

        Raises:
            LookupError, TypeError, AttributeError: a call has not the shape of one.
        """
        told = ""
        if piece.thoughts:
            begun, item = self._turn(REASONING)
            told += begun + self._delta(item, piece.thoughts)
        if piece.text:
            begun, item = self._turn(MESSAGE)
            told += begun + self._delta(item, piece.text, piece.logprobs)
        for call in piece.calls:
            told += self._call(call)
        return told

    def end(
        self, reason: str, usage: Mapping[str, Any] | None, now: int
    ) -> tuple[str, dict[str, Any]]:
        """The last ones, and the response. `reason`: why it is not whole, "" when it is."""
        # Every answer has an item, be it an empty one.
        told = "" if self._open or self._output else self._turn(MESSAGE)[0]
        told += self._close("incomplete" if reason else "completed")
        response = self._frame.ended(self._output, reason, usage, now)
        last = (f"response.{response['status']}", {"response": response})
        return told + self._tell([last]), response

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
        last = ("response.failed", {"response": response})
        return self._tell([("error", told), last]), response

    def _turn(self, kind: str) -> tuple[str, OpenItem]:
        """Go over to an item of this kind, unless it is the open one."""
        if self._open is not None and self._open.kind == kind:
            return "", self._open
        item = OpenItem(kind, self._new_id(word_of(kind)), self._place())
        return self._begin(item), item

    def _call(self, call: Mapping[str, Any]) -> str:
        index, function = call.get("index") or 0, call.get("function") or {}
        item, told = self._open, ""
        if item is None or item.call != index:
            if index in self._called:
                raise ValueError("a call goes on that has ended")
            self._called.add(index)
            item = OpenItem(
                CALL,
                self._new_id(word_of(CALL)),
                self._place(),
                call=index,
                call_id=call.get("id") or self._new_id("call"),
                name=function["name"],
            )
            told = self._begin(item)
        arguments = function.get("arguments")
        return told + self._delta(item, arguments) if arguments else told

    def _place(self) -> int:
        return len(self._output) + (self._open is not None)

    def _begin(self, item: OpenItem) -> str:
        told = self._close("completed")
        self._open = item
        return told + self._tell(item.added())

    def _close(self, status: str) -> str:
        if self._open is None:
            return ""
        events, item = self._open.done(status)
        self._open = None
        self._output.append(item)
        return self._tell(events)

    def _delta(
        self, item: OpenItem, piece: str, logprobs: list[dict[str, Any]] | None = None
    ) -> str:
        found = logprobs or []
        told = item.delta(self._number, piece, found, encode(found) if found else "[]")
        self._number += 1
        return told

    def _tell(self, events: Iterable[Told]) -> str:
        told = ""
        for name, members in events:
            data = encode({"type": name, "sequence_number": self._number, **members})
            told += f"event: {name}\ndata: {data}\n\n"
            self._number += 1
        return told
