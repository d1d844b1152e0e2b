"""The item of a stream that is being said: its own events, and what it comes to. Pure."""

from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from runnerd.responses.items import (
    Item,
    call_item,
    message_item,
    output_text,
    reasoning_item,
)

REASONING: Final = "reasoning"
MESSAGE: Final = "message"
CALL: Final = "function_call"

_WORDS: Final = {REASONING: "rs", MESSAGE: "msg", CALL: "fc"}
_DELTAS: Final = {
    REASONING: "response.reasoning_text.delta",
    MESSAGE: "response.output_text.delta",
    CALL: "response.function_call_arguments.delta",
}

Told = tuple[str, dict[str, Any]]
"""An event: its name, and its members but for `type` and `sequence_number`."""


def word_of(kind: str) -> str:
    """What the IDs of items of this kind begin with."""
    return _WORDS[kind]


class OpenItem:
    """One item. `call` is the index of a call at the engine, -1 for what is none."""

    def __init__(
        self,
        kind: str,
        identity: str,
        place: int,
        *,
        call: int = -1,
        call_id: str = "",
        name: str = "",
    ) -> None:
        self.kind = kind
        self.call = call
        self._identity = identity
        self._place = place
        self._call_id = call_id
        self._name = name
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []
        self._where: dict[str, Any] = {"item_id": identity, "output_index": place}
        index = "" if kind == CALL else '"content_index":0,'
        # Once per token: put together as text.
        self._head = f'event: {_DELTAS[kind]}\ndata: {{"type":"{_DELTAS[kind]}","sequence_number":'
        self._middle = f',"item_id":"{identity}","output_index":{place},{index}"delta":'
        if kind != CALL:
            self._where["content_index"] = 0

    def added(self) -> list[Told]:
        """It begins."""
        item = self._item("in_progress", "")
        if self.kind != CALL:
            item["content"] = []
        told: list[Told] = [
            ("response.output_item.added", {"output_index": self._place, "item": item})
        ]
        if self.kind != CALL:
            told.append(
                ("response.content_part.added", {**self._where, "part": self._part("", [])})
            )
        return told

    def delta(self, number: int, piece: str, logprobs: list[dict[str, Any]], written: str) -> str:
        """The event of a piece. `written`: the JSON of `logprobs`."""
        tail = f',"logprobs":{written}' if self.kind == MESSAGE else ""
        told = f"{self._head}{number}{self._middle}{quoted(piece)}{tail}}}\n\n"
        # Not before it was seen to be text.
        self._pieces.append(piece)
        self._logprobs += logprobs
        return told

    def done(self, status: str) -> tuple[list[Told], Item]:
        """It ends; and what it came to."""
        text = "".join(self._pieces)
        item = self._item(status, text)
        if self.kind == CALL:
            arguments = {**self._where, "name": self._name, "arguments": text}
            told: list[Told] = [("response.function_call_arguments.done", arguments)]
        else:
            whole = {**self._where, "text": text}
            name = "response.reasoning_text.done"
            if self.kind == MESSAGE:
                whole["logprobs"] = self._logprobs
                name = "response.output_text.done"
            part = {**self._where, "part": self._part(text, self._logprobs)}
            told = [(name, whole), ("response.content_part.done", part)]
        told.append(("response.output_item.done", {"output_index": self._place, "item": item}))
        return told, item

    def broken_off(self) -> Item:
        """What it came to when nothing more can follow."""
        return self._item("incomplete", "".join(self._pieces))

    def _part(self, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        if self.kind == REASONING:
            return {"type": "reasoning_text", "text": text}
        return output_text(text, logprobs)

    def _item(self, status: str, text: str) -> Item:
        if self.kind == CALL:
            return call_item(self._identity, self._call_id, self._name, text, status=status)
        if self.kind == REASONING:
            return reasoning_item(self._identity, text, status=status)
        return message_item(self._identity, text, status=status, logprobs=self._logprobs)
