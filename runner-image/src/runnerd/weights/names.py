"""The names that an artifact's files get in its folder, whatever they are called elsewhere. Pure."""

from typing import Final

PROJECTOR: Final = "model.mmproj"
CHAT_TEMPLATE: Final = "template.jinja"
LICENSE: Final = "LICENSE"


def weight_names(count: int) -> tuple[str, ...]:
    """Of one file, or of so many shards in their order, as llama.cpp names them."""
    if count == 1:
        return ("model.gguf",)
    return tuple(f"model-{i:05d}-of-{count:05d}.gguf" for i in range(1, count + 1))
