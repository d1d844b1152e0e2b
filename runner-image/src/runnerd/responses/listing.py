"""A page of a response's input. Pure. Source: OpenAI API reference, "List input items"."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runnerd.responses.items import Item
from runnerd.responses.members import WRONG_VALUE, AskedWronglyError

_USUAL: Final = 20
_MOST: Final = 100


def page(items: Sequence[Item], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of `items`, which are in the order in which they were said.

    `order` is "desc" unless it is asked otherwise, `limit` is 20, and `after` names the last item
    of the page before.

    Raises:
        AskedWronglyError: the query asks for what there is not.
    """
    order, after = query.get("order", "desc"), query.get("after")
    if order not in {"asc", "desc"}:
        raise _wrong("order", "must be asc or desc")
    limit = _limit(query.get("limit"))
    # What a client sent again is listed once, or its pages would never end.
    once = list({item["id"]: item for item in reversed(items)}.values())
    found = once if order == "desc" else once[::-1]
    if after is not None:
        names = [item["id"] for item in found]
        if after not in names:
            raise _wrong("after", "names no item of this response")
        found = found[names.index(after) + 1 :]
    shown = found[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(found) > limit,
    }


def _limit(found: str | None) -> int:
    if found is None:
        return _USUAL
    if not (found.isascii() and found.isdecimal() and 1 <= int(found[:9]) <= _MOST):
        raise _wrong("limit", f"must be from 1 to {_MOST}")
    return int(found)


def _wrong(name: str, message: str) -> AskedWronglyError:
    return AskedWronglyError(f"'{name}' {message}", name, code=WRONG_VALUE)
