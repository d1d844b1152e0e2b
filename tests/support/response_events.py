"""A reader of a response's events that takes nothing out of order."""

import json
from dataclasses import dataclass, field
from typing import Any

_PARTS = {
    "message": ("output_text", "response.output_text.delta", "response.output_text.done"),
    "reasoning": (
        "reasoning_text",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
    ),
}
_CALL = "response.function_call_arguments"
_ENDS = ("response.completed", "response.incomplete", "response.failed")


@dataclass
class EventReader:
    """Each event is one that may come now, or an assertion fails.

    `items` are put together of the events alone, `last` is the response at the end.
    """

    number: int = 0
    state: str = "nothing"
    item: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def read(self, raw: str) -> list[dict[str, Any]]:
        """Read events as they are on the wire; their data."""
        assert raw == "" or raw.endswith("\n\n")
        found = []
        for block in raw.split("\n\n")[:-1]:
            name, data = block.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            self.take(event)
            found.append(event)
        return found

    def take(self, event: dict[str, Any]) -> None:
        """One more event."""
        assert self.last is None, "nothing comes after the end"
        assert event["sequence_number"] == self.number
        self.number += 1
        kind = event["type"]
        if kind in _ENDS:
            self._end(kind, event["response"])
        elif kind == "error":
            assert self.state != "nothing"
            assert event["error"]["message"] == event["message"]
            self.error = event
        else:
            assert self.error is None, "after an error only the failed response comes"
            self._step(kind, event)

    def _step(self, kind: str, event: dict[str, Any]) -> None:
        match self.state, kind:
            case "nothing", "response.created":
                assert event["response"]["status"] == "in_progress"
                assert event["response"]["output"] == []
                self.state = "created"
            case "created", "response.in_progress":
                self.state = "between"
            case "between", "response.output_item.added":
                self._added(event)
            case "part", "response.content_part.added":
                self._where(event)
                assert event["part"]["type"] == _PARTS[self.item["type"]][0]
                assert event["part"]["text"] == ""
                self.state = "deltas"
            case "deltas", _:
                self._delta(kind, event)
            case "part done", "response.content_part.done":
                self._where(event)
                assert event["part"]["text"] == self.text
                self.item["content"] = [event["part"]]
                self.state = "item done"
            case "item done", "response.output_item.done":
                assert event["output_index"] == len(self.items)
                done = event["item"]
                assert {**done, "status": ""} == {**self.item, "status": ""}
                assert done["status"] in {"completed", "incomplete"}
                self.items.append(done)
                self.state = "between"
            case _:
                raise AssertionError(f"{kind} cannot come when the state is {self.state}")

    def _added(self, event: dict[str, Any]) -> None:
        assert event["output_index"] == len(self.items)
        self.item, self.text = event["item"], ""
        assert self.item["status"] == "in_progress"
        if self.item["type"] == "function_call":
            assert self.item["arguments"] == ""
            assert self.item["name"]
            assert self.item["call_id"]
            self.state = "deltas"
        else:
            assert self.item["content"] == []
            self.state = "part"

    def _delta(self, kind: str, event: dict[str, Any]) -> None:
        self._where(event)
        if self.item["type"] == "function_call":
            assert kind in {f"{_CALL}.delta", f"{_CALL}.done"}
            if kind.endswith("done"):
                assert event["arguments"] == self.text
                self.item["arguments"] = self.text
                self.state = "item done"
                return
        else:
            _, delta, done = _PARTS[self.item["type"]]
            assert kind in {delta, done}
            if kind == done:
                assert event["text"] == self.text
                self.state = "part done"
                return
        assert event["delta"]
        self.text += event["delta"]

    def _where(self, event: dict[str, Any]) -> None:
        assert event["item_id"] == self.item["id"]
        assert event["output_index"] == len(self.items)
        if self.item["type"] != "function_call":
            assert event["content_index"] == 0

    def _end(self, kind: str, response: dict[str, Any]) -> None:
        assert kind == f"response.{response['status']}"
        if kind == "response.failed":
            assert self.error is not None
            assert response["error"]["message"] == self.error["message"]
            # What was open is there, and said to be incomplete.
            assert response["output"][: len(self.items)] == self.items
            assert all(
                one["status"] == "incomplete" for one in response["output"][len(self.items) :]
            )
        else:
            assert self.state == "between"
            assert response["output"] == self.items
            assert response["error"] is None
        self.last = response
