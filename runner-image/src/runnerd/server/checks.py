"""What is wrong with a request, found before the engine sees it. Pure.

llama-server answers some of these with 500 and its parser's words (malformed JSON, `"tools":
"x"`, no `messages` for Anthropic), some with 200 (an unknown model); clients need 400 and 404.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelrunner_protocol.references import key
from modelrunner_protocol.wire import RESOLVED_HEADER, RunConfig
from runnerd.server.dialects import Rejection, reject
from runnerd.server.keep_alive import MEMBER, asked_keep_alive, without_keep_alive
from runnerd.server.naming import DECODER, object_of, wrong_name
from runnerd.server.routes import Inference


@dataclass(frozen=True, slots=True)
class Accepted:
    """A body that the engine may see, and what was said in it.

    Attributes:
        body: What is sent to the engine.
        keep_alive: Seconds (negative: for ever) that were asked for, None when none were.
        asked: The name of the model that the client used, "" for none.
    """

    body: bytes
    keep_alive: float | None = None
    asked: str = ""


class Checks:
    """The rules for one model."""

    def __init__(self, config: RunConfig, knows: Callable[[str], bool] | None = None) -> None:
        """`knows` decides about names in place of the configuration's name and aliases."""
        self._knows = knows
        self._model = config.model
        self._mode = config.mode
        names = (config.model, *config.aliases)
        self._path = f"{config.namespace}/{config.model}"
        self._names = frozenset({*names, self._path})
        # Text that is no reference has the key "", which nobody may know.
        self._keys = frozenset(key(name) for name in names) - {""}

    def knows(self, name: str) -> bool:
        """Whether this model goes by `name`, as written or as a reference to the same."""
        if self._knows is not None:
            return self._knows(name)
        return name in self._names or key(name) in self._keys

    def unknown_model(self, name: str) -> Rejection:
        """OpenAI's answer for a model that does not exist."""
        return reject(
            404,
            f"The model `{name[:200]}` does not exist here; this is `{self._model}`",
            code="model_not_found",
            param="model",
        )

    def wrong_mode(self, route: Inference) -> Rejection | None:
        """An answer when the engine was not started for this route."""
        if route.mode is None or route.mode is self._mode:
            return None
        return reject(
            400,
            f"The model `{self._model}` runs in mode {self._mode.value} and does not answer "
            f"{route.path}: use a Model with config.mode {route.mode.value}",
            code="unsupported_mode",
        )

    def is_meant(self, headers: Mapping[str, str]) -> bool:
        """Whether a gateway has found that the name in the body is this model's, whatever it is."""
        return headers.get(RESOLVED_HEADER) == self._path

    def body(self, route: Inference, raw: bytes, *, meant: bool = False) -> Accepted | Rejection:
        """What the engine may see of a body, or what is wrong with it.

        `meant`: see `is_meant`.
        """
        read = object_of(raw)
        if isinstance(read, Rejection):
            return read
        text, data = read
        wrong = self._fields(data, meant=meant) or (_chat(data) if route.messages else None)
        if wrong or MEMBER not in data:
            return wrong or Accepted(raw, None, data.get("model") or "")
        keep_alive = asked_keep_alive(data)
        if isinstance(keep_alive, Rejection):
            return keep_alive
        sent = without_keep_alive(text, DECODER).encode()
        return Accepted(sent, keep_alive, data.get("model") or "")

    def _fields(self, data: dict[str, Any], *, meant: bool) -> Rejection | None:
        name, stream = data.get("model"), data.get("stream")
        if wrong := wrong_name(data):
            return wrong
        if name is not None and not meant and not self.knows(name):
            return self.unknown_model(name)
        if stream is not None and not isinstance(stream, bool):
            return reject(400, "'stream' must be true or false", param="stream")
        return None


def _chat(data: dict[str, Any]) -> Rejection | None:
    messages = data.get("messages")
    if not isinstance(messages, list):
        return reject(400, "'messages' must be a list", param="messages")
    if not all(isinstance(message, dict) for message in messages):
        return reject(400, "each of 'messages' must be an object", param="messages")
    tools = data.get("tools")
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)
    ):
        return reject(400, "'tools' must be a list of objects", param="tools")
    return None
