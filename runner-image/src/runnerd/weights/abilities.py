"""What a model can do beyond text, as far as its chat template tells. Pure.

The words are Ollama's. A template that cannot offer tools or stop a thought does not name them;
one that can has to.
"""

from typing import Final

_THINKING: Final = ("enable_thinking", "reasoning_content", "reasoning_effort", "<think>")
_TOOLS: Final = "tools"


def abilities(template: str) -> tuple[str, ...]:
    """Those that a template, written in Jinja, shows."""
    found = {"tools": _TOOLS in template, "thinking": thinks(template)}
    return tuple(name for name, there in found.items() if there)


def thinks(template: str) -> bool:
    """Whether it knows of thoughts."""
    return any(word in template for word in _THINKING)
