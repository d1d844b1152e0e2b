"""What a started engine says of itself and of its model at /props. Pure.

Source: llama.cpp tools/server/README.md (`GET /props`). Engines that say less are fine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runnerd.weights.abilities import thinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """None, or "" for the template: it does not say.

    Attributes:
        slots: Requests that it works on at once.
        context: Tokens that one conversation may have.
        tools: The template can offer tools.
        vision: It takes images.
        template: The chat template, Jinja.
    """

    slots: int | None = None
    context: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    template: str = ""

    @property
    def thinking(self) -> bool | None:
        """The template knows of thinking."""
        return thinks(self.template) if self.template else None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Those that are known to be there, in Ollama's words."""
        known = {"tools": self.tools, "thinking": self.thinking, "vision": self.vision}
        return tuple(name for name, there in known.items() if there)


UNKNOWN: Final = Properties()


def properties_of(raw: bytes) -> Properties:
    """What a body of /props tells; nothing for one that cannot be read."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return UNKNOWN
    data = _mapping(data)
    template = data.get("chat_template")
    return Properties(
        slots=_positive(data.get("total_slots")),
        context=_positive(_mapping(data.get("default_generation_settings")).get("n_ctx")),
        tools=_known(_mapping(data.get("chat_template_caps")).get("supports_tools")),
        vision=_known(_mapping(data.get("modalities")).get("vision")),
        template=template if isinstance(template, str) else "",
    )


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _positive(found: Any) -> int | None:
    return found if type(found) is int and found > 0 else None


def _known(found: Any) -> bool | None:
    return found if isinstance(found, bool) else None
