"""A validation error of pydantic in words for the person who wrote the object.

The API server has checked every object against the schema of its time. What fails here was
stored under an older schema or by an older API server, and is told in a condition.
"""

from typing import Final

from pydantic import ValidationError

_MOST_FIELDS: Final = 5


def explain(error: ValidationError) -> str:
    """One sentence that names each field and what is wrong with it: "spec.keepAlive: 'abc' is …".

    Values are not repeated, but for what a message of ours says, since they may be secret.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{_path(item['loc'])}: {_text(item['msg'])}" for item in found[:_MOST_FIELDS]]
    if len(found) > _MOST_FIELDS:
        parts.append(f"and {len(found) - _MOST_FIELDS} more")
    return "; ".join(parts)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".") or "the object"


def _text(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
