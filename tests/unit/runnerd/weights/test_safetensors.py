"""The header of a safetensors file, right and wrong."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.safetensors import (
    HEADER_LIMIT,
    LENGTH,
    SafetensorsError,
    header_end,
    looks_like_safetensors,
    parse,
)
from tests.support.tensor_models import framed, tensors


def _one(**changes: Any) -> bytes:
    tensor = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]} | changes
    return framed(json.dumps({"w": tensor}).encode(), bytes(12))


def test_elements_by_type() -> None:
    """Every type is counted for itself; the parameters are all of them."""
    data = tensors({"a": ("BF16", [4, 8]), "b": ("F32", [3]), "c": ("BF16", [5])})
    end = header_end(data[:LENGTH], len(data))
    found = parse(data[:end], len(data))
    assert (found.elements, found.parameters) == ({"BF16": 37, "F32": 3}, 40)
    assert looks_like_safetensors(data)


def test_a_scalar_an_empty_tensor_and_half_bytes() -> None:
    """A scalar is one element, an empty tensor none, and two elements of four bits are a byte."""
    header = {
        "scalar": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
        "empty": {"dtype": "F16", "shape": [0, 7], "data_offsets": [8, 8]},
        "packed": {"dtype": "F4", "shape": [2, 3], "data_offsets": [8, 11]},
    }
    data = framed(json.dumps(header).encode() + b"   ", bytes(11))
    assert parse(data, len(data)).elements == {"I64": 1, "F16": 0, "F4": 6}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it has 0 bytes"),
        (b"\x02\0\0\0\0\0\0\0{", "it has 9 bytes"),
        (struct.pack("<Q", 1 << 63) + b"{}", "a header of 9223372036854775808 bytes"),
        (struct.pack("<Q", HEADER_LIMIT + 1) + b"{}", "more than 16 MiB"),
        (struct.pack("<Q", 3) + b"{}", "cut short or damaged"),
        (framed(b"[]"), "does not begin with"),
        (framed(b' {"w":1}'), "does not begin with"),
        (framed(b"{}"), "has no tensors"),
        (framed(b'{"__metadata__":{}}'), "has no tensors"),
        (framed(b'{"a":'), "is not JSON"),
        (framed(b'{"a":' * 100_000), "is not JSON"),
        (framed(b'{"a":' + b"[" * (2 << 20)), "holds more values"),
        (framed(b'{"a":[' + b"0," * (3 << 20)), "holds more values"),
        (framed(b'{"a":' + b"9" * 5000 + b"}"), "is not JSON"),
        (framed(b'{"a":{},"a":{}}'), "has a name twice"),
        (framed(b'{"a":1}'), "is not described"),
        (_one(dtype="F128"), "unknown type"),
        (_one(dtype=None), "unknown type"),
        (_one(dtype=["BF16"]), "unknown type"),
        (_one(shape=[2.0, 3]), "no shape"),
        (_one(shape=[-2, -3]), "no shape"),
        (_one(shape=[True, 6]), "no shape"),
        (_one(shape=[1 << 63]), "no shape"),
        (_one(shape=[1] * 65), "no shape"),
        (_one(shape="23"), "no shape"),
        (_one(data_offsets=[0]), "no place"),
        (_one(data_offsets=[-12, 0]), "no place"),
        (_one(data_offsets=[12, 0]), "in -12 bytes"),
        (_one(shape=[2, 4]), "8 elements of 16 bits in 12 bytes"),
        (_one(shape=[1 << 62, 1 << 62]), "elements of 16 bits in 12 bytes"),
        (
            _one(shape=[7], data_offsets=[0, 14]),
            "need 14 bytes and the file has 12: it is cut short",
        ),
        (_one(shape=[5], data_offsets=[0, 10]), "nobody knows what the rest is"),
        (_one(shape=[5], data_offsets=[2, 12]), "bytes of no tensor"),
    ],
)
def test_what_is_no_safetensors_file(data: bytes, says: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(SafetensorsError, match=says):
        parse(data, len(data))


def test_tensors_that_share_bytes() -> None:
    """What overlaps is one of the two only."""
    tensor = {"dtype": "BF16", "shape": [6], "data_offsets": [0, 12]}
    data = framed(json.dumps({"a": tensor, "b": tensor}).encode(), bytes(12))
    with pytest.raises(SafetensorsError, match="share bytes"):
        parse(data, len(data))


@given(st.binary(max_size=200), st.integers(0, 1 << 40))
def test_any_bytes_are_read_or_refused(data: bytes, size: int) -> None:
    """Nothing else is ever raised."""
    for tried in (data, framed(b"{" + data)):
        try:
            parse(tried, max(size, len(tried)))
        except SafetensorsError:
            continue


@given(st.data())
def test_a_damaged_header_never_raises_anything_else(drawn: st.DataObject) -> None:
    """A byte changed anywhere is another model or none."""
    whole = bytearray(tensors({"a": ("BF16", [4]), "b": ("F32", [2, 2])}))
    whole[drawn.draw(st.integers(0, len(whole) - 1))] = drawn.draw(st.integers(0, 255))
    try:
        parse(bytes(whole), len(whole))
    except SafetensorsError:
        return
