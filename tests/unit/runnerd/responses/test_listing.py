"""Pages of a response's input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.responses.listing import page
from runnerd.responses.members import AskedWronglyError


def items(count: int) -> list[dict[str, Any]]:
    """Items with numbers for IDs."""
    return [{"id": str(number)} for number in range(count)]


def names(found: dict[str, Any]) -> list[str]:
    """Those of a page."""
    return [item["id"] for item in found["data"]]


def test_the_newest_first() -> None:
    """Unless it is asked otherwise; twenty of them."""
    found = page(items(3), {})
    assert found == {
        "object": "list",
        "data": [{"id": "2"}, {"id": "1"}, {"id": "0"}],
        "first_id": "2",
        "last_id": "0",
        "has_more": False,
    }
    assert names(page(items(3), {"order": "asc"})) == ["0", "1", "2"]
    assert len(page(items(30), {})["data"]) == 20
    assert page(items(30), {})["has_more"]


def test_nothing() -> None:
    """An empty page has no first and no last item."""
    found = page([], {})
    assert (found["data"], found["first_id"], found["last_id"]) == ([], None, None)
    assert page(items(2), {"after": "0"})["data"] == []


@given(st.integers(0, 30), st.integers(1, 100), st.sampled_from(["asc", "desc"]))
def test_page_by_page(count: int, limit: int, order: str) -> None:
    """Following `last_id` gives each item once."""
    found, query = [], {"limit": str(limit), "order": order}
    more = True
    while more:
        one = page(items(count), query)
        found += names(one)
        more = one["has_more"]
        assert len(one["data"]) <= limit
        query = {**query, "after": one["last_id"]} if more else query
    wanted = [item["id"] for item in items(count)]
    assert found == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_was_sent_again(order: str) -> None:
    """It is listed once, so that pages end."""
    twice = [*items(3), *items(2)]
    found, query = [], {"limit": "1", "order": order}
    for more in (True, True, False):
        one = page(twice, query)
        found += names(one)
        query = {**query, "after": one["last_id"]}
        assert one["has_more"] is more
    assert sorted(found) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "query",
    [
        {"order": "up"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"limit": ""},
        {"limit": "\u0665"},
        {"limit": "9" * 99},
        {"after": "x"},
    ],
    ids=str,
)
def test_what_is_wrong(query: dict[str, str]) -> None:
    """A 400 that names the member."""
    with pytest.raises(AskedWronglyError) as raised:
        page(items(3), query)
    assert (raised.value.found.status, raised.value.found.param) == (400, next(iter(query)))
