"""The peek into a body."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.routing.body import Unreadable, peek

# JSON knows neither infinity nor NaN; Python writes them all the same.
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b'{"model": "smol", "stream": true}', "smol", True),
        (b'{"stream": false, "messages": [{"model": "inner"}], "model": "outer"}', "outer", False),
        (b'{"model": "a", "model": "b"}', "b", None),
        (b'{"mo\\u0064el": "escaped"}', "escaped", None),
        (b'{"model": null}', None, None),
        (b"{}", None, None),
        (b' {"model": "ai\\/x"}\n', "ai/x", None),
    ],
)
def test_the_two_fields_are_found(body: bytes, model: str | None, stream: bool | None) -> None:
    """Of the outermost object, as the engines read them."""
    found = peek(body)
    assert (found.model, found.stream) == (model, stream)


@pytest.mark.parametrize(
    ("body", "told", "param"),
    [
        (b"", "The request has no body", None),
        (b"{not json", "The body is not JSON: ", None),
        (b'{"model": "x"', "The body is not JSON: ", None),
        (b'{"model": "x"} {}', "The body is not JSON: ", None),
        (b"\xef\xbb\xbf{}", "The body is not JSON: ", None),
        (b'{"x": NaN}', "The body is not JSON: ", None),
        (b"[1]", "The body must be a JSON object", None),
        (b"null", "The body must be a JSON object", None),
        (b'"model"', "The body must be a JSON object", None),
        (b'{"model": 1}', "`model` must be a string", "model"),
        (b'{"model": ["a"]}', "`model` must be a string", "model"),
        (b'{"stream": "yes"}', "`stream` must be true or false", "stream"),
        (b'{"stream": 1}', "`stream` must be true or false", "stream"),
        (b'{"model": "\xff"}', "The body is not UTF-8", None),
        (b'{"a":' * 100_000, "The body is nested too deeply", None),
    ],
)
def test_what_cannot_be_read_is_said_in_words(body: bytes, told: str, param: str | None) -> None:
    """With the field at fault."""
    with pytest.raises(Unreadable) as refused:
        peek(body)
    assert refused.value.message.startswith(told)
    assert refused.value.param == param


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    """Whatever a client sends is read or refused in words."""
    with contextlib.suppress(Unreadable):
        peek(body)


@given(st.dictionaries(st.sampled_from(["model", "stream", "x", "é"]), _JSON))
def test_json_means_what_python_reads(value: dict[str, Any]) -> None:
    """Two readers agree, so nothing is routed by another model than the runner sees."""
    model, stream = value.get("model"), value.get("stream")
    body = json.dumps(value).encode()
    if isinstance(model, str | None) and isinstance(stream, bool | None):
        assert (peek(body).model, peek(body).stream) == (model, stream)
    else:
        with pytest.raises(Unreadable):
            peek(body)
