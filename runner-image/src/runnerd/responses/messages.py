"""Items as the messages of a chat. Pure.

What a model thought, said and called in one turn are items of their own here, and one message
there: templates of models want them together.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from runnerd.responses.items import Item

Message = dict[str, Any]


def chat_messages(instructions: str | None, items: Iterable[Item]) -> list[Message]:
    """The messages of a chat: `instructions` first, then the items in their order."""
    writing = _Writing()
    if instructions:
        writing.put({"role": "system", "content": instructions})
    for item in items:
        writing.item(item)
    return writing.messages


class _Writing:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._thoughts = ""

    def put(self, message: Message) -> None:
        """A message that is no model's."""
        # Thoughts that nothing followed belong to nobody.
        self._thoughts = ""
        last = self.messages[-1] if self.messages else None
        if last is not None and _joinable(last, message):
            # Many templates take one system message, at the beginning.
            last["content"] += "\n\n" + message["content"]
        else:
            self.messages.append(message)

    def item(self, item: Item) -> None:
        """One more item."""
        match item["type"]:
            case "reasoning":
                self._thoughts += _thoughts(item)
            case "function_call":
                self._call(item)
            case "function_call_output":
                told = {"role": "tool", "tool_call_id": item["call_id"]}
                self.put(told | {"content": _content(item["output"], "\n")})
            case _ if item["role"] == "assistant":
                self._said(_content(item["content"], ""))
            case _:
                # Few templates know a developer.
                role = "user" if item["role"] == "user" else "system"
                self.put({"role": role, "content": _content(item["content"], "\n")})

    def _said(self, content: str | list[dict[str, Any]]) -> None:
        message = self._turn()
        if message is None or message["content"] is not None or "tool_calls" in message:
            message = self._begin()
        message["content"] = content

    def _call(self, item: Item) -> None:
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        message = self._turn() or self._begin()
        message.setdefault("tool_calls", []).append(call)

    def _turn(self) -> Message | None:
        """The message of the model's turn that goes on; thoughts begin another one."""
        last = self.messages[-1] if self.messages else None
        going_on = last is not None and last["role"] == "assistant" and not self._thoughts
        return last if going_on else None

    def _begin(self) -> Message:
        message: Message = {"role": "assistant", "content": None}
        if self._thoughts:
            message["reasoning_content"] = self._thoughts
            self._thoughts = ""
        self.messages.append(message)
        return message


def _joinable(last: Message, message: Message) -> bool:
    return (
        last["role"] == message["role"] == "system"
        and isinstance(last["content"], str)
        and isinstance(message["content"], str)
    )


def _thoughts(item: Item) -> str:
    return "".join(one["text"] for one in item.get("content") or item["summary"])


def _content(found: str | Sequence[dict[str, Any]], between: str) -> str | list[dict[str, Any]]:
    """Text as a string, since not every template takes a list; with others a list of parts."""
    if isinstance(found, str):
        return found
    parts = [_part(one) for one in found]
    if all(part["type"] == "text" for part in parts):
        return between.join(part["text"] for part in parts)
    return parts


def _part(found: dict[str, Any]) -> dict[str, Any]:
    match found["type"]:
        case "input_image":
            image = {"url": found["image_url"], "detail": found["detail"]}
            return {"type": "image_url", "image_url": image}
        case "input_audio":
            return found
        case "refusal":
            return {"type": "text", "text": found["refusal"]}
        case _:
            return {"type": "text", "text": found["text"]}
