"""How the scripted engine puts its answers: whole or streamed, as a chat or as a message.

Its program is started without our packages: here, too, is nothing but the standard library.
"""

import http.server
import json
from typing import Any

_CALLS = (("w", '{"city":', ' "Rome"}'), ("t", "{", "}"))


class ScriptedAnswers(http.server.BaseHTTPRequestHandler):
    """A connection of the engine's, by which answers go."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Nothing: the output of this program is what a test asked for."""

    def answer(self, body: dict[str, Any], *parts: dict[str, Any], finish: str = "stop") -> None:
        """A chat's answer of these parts, whole or streamed as llama-server does."""
        usage = {"prompt_tokens": 7, "completion_tokens": 11}
        timings = {"prompt_ms": 1.5, "predicted_ms": 2.5}
        if not body.get("stream"):
            message: dict[str, Any] = {"role": "assistant", "content": None}
            for part in parts:
                message |= part
            choice = {"index": 0, "finish_reason": finish, "message": message}
            whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "scripted"}
            self.json(200, {**whole, "choices": [choice], "usage": usage, "timings": timings})
            return
        self.start_stream()
        role: dict[str, Any] = {"role": "assistant", "content": None}
        events: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "finish_reason": None, "delta": delta}]}
            for delta in (role, *parts)
        ]
        events.append({"choices": [{"index": 0, "finish_reason": finish, "delta": {}}]})
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        for event in (*events, {"choices": [], "usage": usage, "timings": timings}):
            self.chunk(b"data: " + json.dumps({**head, **event}).encode() + b"\n\n")
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def calls(self, body: dict[str, Any]) -> None:
        """Two calls of tools; in a stream their arguments come in two pieces."""
        pieces, calls = [], []
        for index, (name, first, rest) in enumerate(_CALLS):
            head = {"index": index, "id": f"id-{name}", "type": "function"}
            calls.append({**head, "function": {"name": name, "arguments": first + rest}})
            begin = {**head, "function": {"name": name, "arguments": first}}
            more = {"index": index, "function": {"arguments": rest}}
            pieces += [{"tool_calls": [begin]}, {"tool_calls": [more]}]
        self.answer(
            body, *(pieces if body.get("stream") else [{"tool_calls": calls}]), finish="tool_calls"
        )

    def anthropic_calls(self, body: dict[str, Any]) -> None:
        """The same calls, as llama-server tells them to Anthropic's clients."""
        usage = {"input_tokens": 7, "output_tokens": 11}
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted"}
        blocks = [
            {
                "type": "tool_use",
                "id": f"id-{name}",
                "name": name,
                "input": json.loads(first + rest),
            }
            for name, first, rest in _CALLS
        ]
        end = {"stop_reason": "tool_use", "stop_sequence": None}
        if not body.get("stream"):
            self.json(200, {**head, **end, "content": blocks, "usage": usage})
            return
        begun: dict[str, Any] = {
            **head,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
        for index, (block, (_, *pieces)) in enumerate(zip(blocks, _CALLS, strict=True)):
            at = {"index": index}
            events.append(
                {"type": "content_block_start", **at, "content_block": {**block, "input": {}}}
            )
            for piece in pieces:
                delta = {"type": "input_json_delta", "partial_json": piece}
                events.append({"type": "content_block_delta", **at, "delta": delta})
            events.append({"type": "content_block_stop", **at})
        events.append({"type": "message_delta", "delta": end, "usage": usage})
        self.start_stream()
        for event in (*events, {"type": "message_stop"}):
            self.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.chunk(b"")

    def json(self, status: int, body: Any) -> None:
        """A whole answer in JSON."""
        self.send(status, json.dumps(body).encode(), "application/json")

    def send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        """A whole answer of `kind`, its content type."""
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def start_stream(self) -> None:
        """The head of events; `chunk` follows, an empty one at the end."""
        self.send_response_only(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """A piece of a stream."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
