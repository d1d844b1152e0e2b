"""The response object around what a model said. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from runnerd.responses.items import Item, NewId, call_item, message_item, reasoning_item
from runnerd.responses.spoken import Piece, usage_of

encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""JSON in ASCII: some clients split lines at U+2028, too."""


class Frame:
    """Writes one response, at each point of its life.

    Args:
        identity: Its ID.
        model: The model's name, as the client knows it.
        created: Seconds since the Unix epoch.
        told: What it repeats of the request.
    """

    def __init__(self, identity: str, model: str, created: int, told: Mapping[str, Any]) -> None:
        self.identity = identity
        self._model = model
        self._created = created
        self._told = told

    @property
    def top_logprobs(self) -> int:
        """How many likely tokens are told with each."""
        found: int = self._told["top_logprobs"]
        return found

    def begun(self) -> dict[str, Any]:
        """Nothing was said yet."""
        return self._object("in_progress", [])

    def ended(
        self, output: list[Item], reason: str, usage: Mapping[str, Any] | None, now: int
    ) -> dict[str, Any]:
        """All was said; `reason` is why it is not whole, "" when it is. `usage`: the engine's."""
        more: dict[str, Any] = {"usage": usage_of(usage), "output_text": _text(output)}
        if reason:
            more["incomplete_details"] = {"reason": reason}
            return self._object("incomplete", output, more)
        return self._object("completed", output, more | {"completed_at": now})

    def failed(self, output: list[Item], message: str) -> dict[str, Any]:
        """It cannot go on."""
        error = {"code": "server_error", "message": message}
        return self._object("failed", output, {"error": error, "output_text": _text(output)})

    def _object(
        self, status: str, output: list[Item], more: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        told = {
            "id": self.identity,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self._model,
            "output": output,
            "safety_identifier": None,
            "service_tier": "default",
            "truncation": "disabled",
            **self._told,
            **(more or {}),
        }
        # Last: the gateway reads what an answer cost from its end.
        told["usage"] = told.pop("usage", None)
        return told


def output_of(piece: Piece, new_id: NewId) -> list[Item]:
    """The items of a whole answer: thoughts, text, calls. There is always one."""
    status = "incomplete" if piece.reason else "completed"
    found = []
    if piece.thoughts:
        found.append(reasoning_item(new_id("rs"), piece.thoughts))
    if piece.text or not piece.calls:
        found.append(
            message_item(new_id("msg"), piece.text, status=status, logprobs=piece.logprobs)
        )
    for call in piece.calls:
        function = call["function"]
        call_id = call.get("id") or new_id("call")
        arguments = function.get("arguments") or "{}"
        found.append(call_item(new_id("fc"), call_id, function["name"], arguments, status=status))
    return found


def _text(output: list[Item]) -> str:
    """All that was said: not OpenAI's member, but Docker Model Runner's clients read it."""
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)
