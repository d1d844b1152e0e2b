"""What every script of a client is made of: named scenarios, and one JSON object of outcomes.

    python SCRIPT URL NAME…

runs the scenarios NAME… of a client, functions of its script, against the server at URL, in this
order, and prints
{"NAME": {"value": …}} or {"NAME": {"raised": "NotFoundError", "status": 404, "text": "…"}}.
What the values are is told in tests/support/clients/expectations.py, which checks them.

Only the standard library: this runs in the environment of the clients.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CHAT_MODEL = "ai/smollm2"
EMBEDDING_MODEL = "ai/embeddinggemma"
# Of another registry where the server has no default one.
PULLED_MODEL = os.environ.get("PULLED_MODEL", "ai/pulled")
COPIED_MODEL = "ai/copied"
UNKNOWN_MODEL = "ai/no-such-model"
# What the list of running models calls the one that chats.
RUNNING_NAME = os.environ.get("RUNNING_NAME", "ai/smollm2:latest")
QUESTION = "What is the capital of France?"
# The scripted engine answers this with two calls of tools, whatever the tools are.
CALL_TOOLS = "script: tools"
TEXTS = ["the sky is blue", "the grass is green"]
MAX_TOKENS = 24
# For the longest JSON that the schema allows, its white space included.
ENOUGH_TOKENS = 200
ANSWER_SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string", "enum": ["Paris", "London"]}},
    "required": ["capital"],
    "additionalProperties": False,
}
TOOL_NAME = "w"
TOOL_DESCRIPTION = "The weather of a city"
TOOL_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


@dataclass(frozen=True)
class Server:
    """Where the server is: `url` has no path."""

    url: str

    def at(self, path: str) -> str:
        """The URL of a path below it."""
        return self.url + path


Scenario = Callable[[Server], Any]


def messages(text: str = QUESTION) -> Any:
    """A chat of one message, for which every client has a type of its own."""
    return [{"role": "user", "content": text}]


def function_tool() -> Any:
    """A tool, as OpenAI's and Ollama's chats have it."""
    function = {"name": TOOL_NAME, "description": TOOL_DESCRIPTION, "parameters": TOOL_SCHEMA}
    return {"type": "function", "function": function}


def call(name: str, arguments: Any) -> dict[str, Any]:
    """A call of a tool; `arguments` is an object or its JSON."""
    return {
        "name": name,
        "arguments": json.loads(arguments) if isinstance(arguments, str) else dict(arguments),
    }


def eventually(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """The first answer of which it holds, or the last one after a minute.

    A gateway learns of a change from Kubernetes, a moment after it was made.
    """
    pause = threading.Event()
    for _ in range(600):
        if holds(answer := ask()):
            return answer
        pause.wait(0.1)
    return ask()


def main(scenarios: Mapping[str, Any]) -> None:
    """Run the functions that the command line names; print what came of them."""
    url, *names = sys.argv[1:]
    print(json.dumps({name: _outcome(scenarios[name], Server(url)) for name in names}))


def _outcome(scenario: Scenario, server: Server) -> dict[str, Any]:
    try:
        return {"value": scenario(server)}
    except Exception as error:  # noqa: BLE001  # an outcome like another: a test judges it
        status = getattr(error, "status_code", None)
        return {"raised": type(error).__name__, "status": status, "text": str(error)[:2000]}
