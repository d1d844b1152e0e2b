"""Reads the header of a safetensors file: its tensors, without loading one. Pure.

The bytes come from strangers. The header's length is checked before it is read, and every tensor
has to lie in the file, behind the one before it and as long as its shape says: then the header
says nothing that the file does not hold.

Source: safetensors `safetensors/src/tensor.rs` (`Metadata::validate`, `Dtype`), whose limit of a
header is 100 MB; the largest that are known have less than 10.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from runnerd.weights.bounded_json import UnreadableError, read_object
from runnerd.weights.tensor_attention import tells

LENGTH: Final = 8
"""Bytes before the header, which tell how long it is."""

HEADER_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of header that are read at most."""

_METADATA: Final = "__metadata__"
_MOST_DIMENSIONS: Final = 64
_LONGEST_NAME: Final = 65_535
_BITS: Final = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


class SafetensorsError(ValueError):
    """Bytes that are not a safetensors file which an engine could load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorsHeader:
    """What a safetensors header says.

    Attributes:
        elements: Of all tensors of this file, by their type as the file writes it ("BF16").
        shapes: Of the tensors that tell what is kept of each token: see `tensor_attention`.
    """

    elements: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Elements of all tensors. Where several weights are packed in one, it counts once."""
        return sum(self.elements.values())


def looks_like_safetensors(head: bytes | bytearray) -> bool:
    """Whether a file that begins so can be one: a length, and then an object."""
    return head[LENGTH : LENGTH + 1] == b"{" and int.from_bytes(head[:LENGTH], "little") < 1 << 32


def header_end(head: bytes | bytearray, size: int) -> int:
    """Bytes of a file of `size` bytes that `parse` needs, told by its first eight.

    Raises:
        SafetensorsError: it cannot be a safetensors file.
    """
    if size < LENGTH + 2 or len(head) < LENGTH:
        raise SafetensorsError(f"it has {size} bytes, fewer than any header")
    length = int.from_bytes(head[:LENGTH], "little")
    if length > HEADER_LIMIT:
        raise SafetensorsError(
            f"it claims a header of {length} bytes, more than {HEADER_LIMIT >> 20} MiB"
        )
    if length > size - LENGTH:
        raise SafetensorsError(
            f"it claims a header of {length} bytes and has {size}: it is cut short or damaged"
        )
    return LENGTH + length


def parse(data: bytes | bytearray, size: int) -> TensorsHeader:
    """Read the header of a file of `size` bytes.

    Args:
        data: Its first `header_end` bytes, or more.
        size: Bytes of the whole file.

    Raises:
        SafetensorsError: not a safetensors file, or one that cannot be right.
    """
    end = header_end(data, size)
    if data[LENGTH : LENGTH + 1] != b"{":
        raise SafetensorsError("its header does not begin with '{'")
    try:
        found = read_object(data[LENGTH:end])
    except UnreadableError as error:
        raise SafetensorsError(f"its header {error}") from error
    found.pop(_METADATA, None)
    if not found:
        raise SafetensorsError("it has no tensors")
    elements: dict[str, int] = {}
    spans = []
    for name, told in found.items():
        kind, count, span = _tensor(name, told)
        elements[kind] = elements.get(kind, 0) + count
        spans.append(span)
    _check_spans(spans, size - end)
    shapes = {name: tuple(told["shape"]) for name, told in found.items() if tells(name)}
    return TensorsHeader(elements=elements, shapes=shapes)


def _tensor(name: str, told: Any) -> tuple[str, int, tuple[int, int]]:
    """A tensor's type, its elements, and where it begins and ends behind the header."""
    shown = ascii(name[:64])
    if len(name) > _LONGEST_NAME or not isinstance(told, dict):
        raise SafetensorsError(f"the tensor {shown} is not described")
    kind = told.get("dtype")
    shape, offsets = _numbers(told.get("shape")), _numbers(told.get("data_offsets"))
    bits = _BITS.get(kind, 0) if isinstance(kind, str) else 0
    if not isinstance(kind, str) or not bits:
        raise SafetensorsError(f"the tensor {shown} has the unknown type {kind!r:.32}")
    if shape is None or len(shape) > _MOST_DIMENSIONS:
        raise SafetensorsError(f"the tensor {shown} has no shape that can be right")
    if offsets is None or len(offsets) != 2:
        raise SafetensorsError(f"the tensor {shown} has no place in the file")
    begin, end = offsets
    count = prod(shape)
    if end < begin or count * bits != (end - begin) * 8:
        raise SafetensorsError(
            f"the tensor {shown} has {count:.6g} elements of {bits} bits in {end - begin} bytes"
        )
    return kind, count, (begin, end)


def _numbers(found: Any) -> list[int] | None:
    """A list of whole numbers from 0 on, none of them absurd; None for anything else."""
    right = isinstance(found, list) and all(
        type(one) is int and 0 <= one < 1 << 63 for one in found
    )
    return found if right else None


def _check_spans(spans: list[tuple[int, int]], held: int) -> None:
    """Refuse tensors that share bytes, leave some out, or reach behind the file's end."""
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise SafetensorsError(
                "two of its tensors share bytes" if begin < at else "it has bytes of no tensor"
            )
        at = end
    if at != held:
        short = "it is cut short or damaged" if at > held else "nobody knows what the rest is"
        raise SafetensorsError(f"its tensors need {at} bytes and the file has {held}: {short}")
