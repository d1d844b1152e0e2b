"""Ollama's `options` as the engine's sampling parameters. Pure.

Source: ollama/ollama docs/modelfile.md, api/types.go (`Options`, `FromMap`); llama.cpp
tools/server/README.md. An option that says how to load a model (`num_gpu`, `num_thread`, …) or
that nobody knows is left out, as Ollama leaves out what it does not know: how a model is
loaded here is its owner's to say.
"""

import math
from typing import Any, Final

from runnerd.ollama.members import AskedWronglyError, Object

_FLOATS: Final = frozenset(
    {
        "temperature",
        "top_p",
        "min_p",
        "typical_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "mirostat_tau",
        "mirostat_eta",
    }
)
_WHOLE: Final = {
    "top_k": "top_k",
    "seed": "seed",
    "mirostat": "mirostat",
    "num_keep": "n_keep",
    "repeat_last_n": "repeat_last_n",
    "num_predict": "max_tokens",
    "num_ctx": "",
}
"""Names of the engine; "": nothing is said to it."""


def sampling(options: Object, *, context: int | None) -> dict[str, Any]:
    """What the engine is told.

    Args:
        options: The client's.
        context: Tokens that a conversation may have here, None when nobody knows.

    Raises:
        AskedWronglyError: an option has the wrong type, in the words of Ollama.
    """
    told: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _FLOATS:
            told[name] = _number(name, value)
        elif name in _WHOLE:
            told |= _told_whole(name, int(_number(name, value, "integer")), context)
        elif name == "stop" and (stop := _stop(value)):
            told["stop"] = stop
    return told


def wanted_context(options: Object) -> int | None:
    """`num_ctx`, None when it is not asked for."""
    value = options.get("num_ctx")
    return None if value is None else int(_number("num_ctx", value, "integer"))


def _told_whole(name: str, value: int, context: int | None) -> dict[str, int]:
    if name == "repeat_last_n" and value < 0:
        # The whole context, which llama-server takes as a number only.
        return {} if context is None else {name: context}
    # No limit is the engine's usual; -1 and -2 (fill the context) are Ollama's words for that.
    if name == "num_ctx" or (name == "num_predict" and value <= 0):
        return {}
    return {_WHOLE[name]: value}


def _number(name: str, value: Any, kind: str = "float32") -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or (isinstance(value, float) and not math.isfinite(value)):
        raise AskedWronglyError(f'option "{name}" must be of type {kind}', f"options.{name}")
    if abs(value) >= 1 << 63:
        raise AskedWronglyError(f'option "{name}" is out of range', f"options.{name}")
    return value  # type: ignore[no-any-return]  # it was looked at


def _stop(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise AskedWronglyError('option "stop" must be of type array', "options.stop")
    if not all(isinstance(one, str) for one in found):
        raise AskedWronglyError('option "stop" must be of an array of strings', "options.stop")
    return found
