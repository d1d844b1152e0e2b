"""The reader of GGUF headers."""

import contextlib
import io
import struct
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runnerd.weights.gguf import HEADER_LIMIT, GgufError, TruncatedError, parse, read
from tests.support.gguf_files import MODEL, header, model, tensor, text, value


def test_reads_a_model() -> None:
    """The values that a status shows are read from the header."""
    found = parse(data := model(), len(data))
    assert (found.version, found.architecture, found.name, found.kind) == (
        3,
        "llama",
        "Tiny",
        "model",
    )
    assert (found.context_size, found.file_type, found.shard, found.shards) == (2048, 3, 0, 1)


def test_read_takes_as_much_as_the_header_needs() -> None:
    """A header longer than the first piece is read on; a file that shrinks is an error."""
    data = header({**MODEL, "tokenizer.ggml.merges": ["x" * 60_000] * 60, "llama.pooling_type": 3})
    found = read(io.BytesIO(data))
    assert (found.context_size, found.pooling) == (2048, 3)
    with pytest.raises(GgufError, match="became shorter"):
        read(_Shrinking(data))
    with pytest.raises(GgufError, match="empty"):
        read(io.BytesIO())


def test_the_chat_template() -> None:
    """It is read, odd characters and all; one that is too long to read is left out."""
    key = "tokenizer.chat_template"
    for template, expected in (
        ("{{ tools }}", "{{ tools }}"),
        (b"\xff{{ x }}", "\ufffd{{ x }}"),
        ("", ""),
        ("x" * ((1 << 20) + 1), ""),
    ):
        data = header({**MODEL, key: template})
        assert parse(data, len(data)).template == expected
    assert parse(header(), len(header())).template == ""


class _Shrinking(io.BytesIO):
    """A file of which only the first piece is still there when it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        return b"" if self.tell() else super().read(size)


def test_counts_parameters_over_all_tensors() -> None:
    """Parameters are the elements of all tensors, whatever their shapes."""
    tensors = [tensor("a", [3, 5]), tensor("b", [7], offset=64), tensor("scalar", [], offset=128)]
    data = header(MODEL, tensors) + bytes(512)
    assert parse(data, len(data)).parameters == 3 * 5 + 7 + 1


def test_context_length_may_come_before_the_architecture() -> None:
    """The order of metadata keys does not matter, and another model's context is not taken."""
    metadata = {
        "clip.context_length": 7,
        "llama.context_length": 99,
        "general.architecture": "llama",
    }
    data = header(metadata)
    assert parse(data, len(data)).context_size == 99


@pytest.mark.parametrize("context", [0, 2**31])
def test_absurd_context_length_is_not_told(context: int) -> None:
    """A context that no engine can be asked for is left out."""
    data = header({"general.architecture": "llama", "llama.context_length": context})
    assert parse(data, len(data)).context_size is None


def test_version_2_is_read() -> None:
    """Version 2 has the layout of version 3."""
    data = header(version=2)
    assert parse(data, len(data)).architecture == "llama"


def test_every_prefix_asks_for_more() -> None:
    """A header that is cut anywhere is never taken for a damaged file while the file goes on."""
    data = model(2048)
    whole = parse(data, len(data))
    for length in range(len(data)):
        try:
            assert parse(data[:length], len(data)) == whole
        except TruncatedError:
            continue


def test_prefix_of_a_file_that_ends_there_is_damaged() -> None:
    """The same prefix as a whole file is an error, not a wish for more."""
    data = header()
    for length in range(len(data)):
        with pytest.raises(GgufError):
            parse(data[:length], length)


def _raw_key(key: bytes, rest: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(key) + rest


_HOSTILE: dict[str, tuple[bytes, str]] = {
    "magic": (b"<!DOCTYPE html>" + bytes(64), "magic"),
    "version 1": (header(version=1), "version 1"),
    "version 4": (header(version=4), "version 4"),
    "big endian": (header(version=3 << 24), "big-endian"),
    "keys": (header(keys=2**63), "metadata keys"),
    "keys for the size": (header(keys=60_000), "metadata keys"),
    "tensors": (header(count=2**40), "tensors"),
    "long key": (_raw_key(b"", b"")[:-8] + struct.pack("<Q", 2**62), "bytes long"),
    "key that is not UTF-8": (_raw_key(b"\xff\xfe", value(1)), "not UTF-8"),
    "architecture that is not UTF-8": (
        _raw_key(b"general.architecture", value(b"\xff")),
        "not UTF-8",
    ),
    "value type": (_raw_key(b"a", struct.pack("<I", 99)), "unknown type 99"),
    "array of arrays": (_raw_key(b"a", struct.pack("<IIQ", 9, 9, 1)), "unknown type 9"),
    "array of too many strings": (_raw_key(b"a", struct.pack("<IIQ", 9, 8, 2**60)), "elements"),
    "array of too many numbers": (_raw_key(b"a", struct.pack("<IIQ", 9, 12, 2**60)), "ends inside"),
    "string value": (_raw_key(b"a", struct.pack("<IQ", 8, 2**60)), "ends inside"),
    "dimensions": (header(tensors=[tensor("a", [1] * 5)]) + bytes(64), "5 dimensions"),
    "shape": (header(tensors=[tensor("a", [2**40, 2**40])]) + bytes(64), "cut short"),
    "shape of an unknown type": (
        header(tensors=[tensor("a", [2**63, 2**63], kind=999)]) + bytes(64),
        "parameters",
    ),
    "offset": (header(tensors=[tensor("a", [1], offset=2**63)]) + bytes(64), "cut short"),
    "alignment": (header({"general.alignment": 0}), "alignment"),
}


@pytest.mark.parametrize(("data", "says"), _HOSTILE.values(), ids=_HOSTILE.keys())
def test_hostile_header_is_refused(data: bytes, says: str) -> None:
    """Counts, lengths and types that cannot be right are refused at once, in words."""
    begun = time.process_time()
    with pytest.raises(GgufError, match=says):
        parse(data, len(data))
    assert time.process_time() - begun < 1


def test_name_may_hold_any_bytes() -> None:
    """A display name that is not UTF-8 does not make a model unusable."""
    data = header({"general.architecture": "llama", "general.name": b"caf\xe9"})
    assert parse(data, len(data)).name == "caf\ufffd"


def test_cut_upload_is_noticed() -> None:
    """A file that is shorter than its tensors is refused, with both sizes."""
    data = model(8192)
    with pytest.raises(GgufError, match="need 8192 bytes and the file has 8000"):
        parse(data[:8000], 8000)


def test_header_beyond_the_limit_is_refused() -> None:
    """A header that claims to be larger than the bound is not read to its end."""
    data = _raw_key(b"a", struct.pack("<IQ", 8, HEADER_LIMIT))
    with pytest.raises(GgufError, match="larger than 32 MiB"):
        parse(data, 2**40)


def test_largest_array_of_strings_is_bounded_in_time() -> None:
    """A header full of empty strings, the slowest there is, takes seconds at most."""
    count = (HEADER_LIMIT - 100) // 8
    data = _raw_key(b"a", struct.pack("<IIQ", 9, 8, count)) + bytes(8 * count)
    begun = time.process_time()
    assert parse(data, len(data)).architecture == ""
    assert time.process_time() - begun < 20


_values: Any = st.one_of(
    st.integers(0, 2**32 - 1),
    st.text(max_size=20),
    st.floats(width=32),
    st.lists(st.text(max_size=5), max_size=5),
)


@settings(max_examples=300, deadline=2000)
@given(
    metadata=st.dictionaries(st.text(max_size=30), _values, max_size=8),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 400),
)
def test_damaged_header_never_raises_anything_else(
    metadata: dict[str, Any], flips: list[tuple[int, int]], cut: int
) -> None:
    """Whatever bytes are changed, the answer is a header, GgufError or TruncatedError."""
    data = bytearray(header({**MODEL, **metadata}, [tensor("a", [2, 2])]) + bytes(64))
    for position, byte in flips:
        data[position % len(data)] = byte
    for size in (len(data), 2**40):
        try:
            parse(data[: len(data) - cut], size)
        except (GgufError, TruncatedError):
            continue


@settings(max_examples=300, deadline=2000)
@given(data=st.binary(max_size=512), size=st.integers(0, 2**50))
def test_random_bytes_never_raise_anything_else(data: bytes, size: int) -> None:
    """Random bytes behind the magic are refused, and nothing else happens."""
    with contextlib.suppress(GgufError, TruncatedError):
        parse(b"GGUF" + struct.pack("<I", 3) + data, max(size, len(data) + 8))
