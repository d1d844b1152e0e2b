"""Reads the header of a GGUF file: what model it is, without loading a tensor.

The bytes come from strangers. Every count and length is checked against the file's size
before it is used, nothing is kept but a few named values, and no value nests.

Source: docs/gguf.md of ggml, `gguf_init_from_file_impl` of llama.cpp.
"""

import struct
from dataclasses import dataclass, field
from math import prod
from typing import BinaryIO, Final

from runnerd.weights.attention import MOST_LAYERS, TOLD, Attention, attention
from runnerd.weights.gguf_types import ARRAY, SCALARS, STRING, TENSOR_TYPES

MAGIC: Final = b"GGUF"
HEADER_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of header that are read at most; a vocabulary of 262,144 tokens needs about 15 MiB."""

_VERSIONS: Final = (2, 3)
_MOST_KEYS: Final = 65_536
_MOST_TENSORS: Final = 262_144
_LONGEST_NAME: Final = 65_535
_MOST_DIMENSIONS: Final = 4
_SMALLEST_KEY: Final = 8 + 4 + 1
_SMALLEST_TENSOR: Final = 8 + 4 + 4 + 8
_TEXTS: Final = frozenset({"general.architecture", "general.name", "general.type"})
_NUMBERS: Final = frozenset({"general.file_type", "general.alignment", "split.no", "split.count"})
_TEMPLATE: Final = "tokenizer.chat_template"
_LONGEST_TEMPLATE: Final = 1 << 20
_CONTEXT: Final = ".context_length"
_POOLING: Final = ".pooling_type"
_VOCABULARY: Final = "tokenizer.ggml.tokens"
_FIRST: Final = 2 * 1024 * 1024
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")


class GgufError(ValueError):
    """Bytes that are not a GGUF file which an engine could load."""


class TruncatedError(Exception):
    """The header goes on behind the bytes that are there; the file may still be fine."""


@dataclass(slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF header says.

    Attributes:
        kind: `general.type`: "model", "adapter", "mmproj" …, "" when absent.
        context_size: The longest context the model was trained for, in tokens.
        file_type: `enum llama_ftype`.
        parameters: Elements of all tensors in this file.
        pooling: How a model made for embeddings makes one vector of many, `enum
            llama_pooling_type`; None when it does not say.
        attention: What its layers keep of each token; None when the file does not tell.
        vocabulary: How many tokens it knows, 0 when the file does not tell.
        template: The chat template, Jinja; "" when there is none, or one that is too long to read.
        shard, shards: Position in and number of files of a split model, from 0 and 1.
    """

    version: int
    architecture: str = ""
    name: str = ""
    kind: str = ""
    context_size: int | None = None
    file_type: int | None = None
    parameters: int = 0
    pooling: int | None = None
    attention: Attention | None = None
    vocabulary: int = 0
    template: str = ""
    shard: int = 0
    shards: int = 1


def read(file: BinaryIO) -> GgufHeader:
    """Read the header of an open file, at most `HEADER_LIMIT` bytes of it.

    Raises:
        GgufError: not a GGUF file, or one that cannot be right.
        OSError: the file cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(0)
    data = bytearray()
    while more := file.read(min(max(_FIRST, len(data) * 3), HEADER_LIMIT - len(data))):
        data += more
        try:
            return parse(data, size)
        except TruncatedError:
            continue
    raise GgufError("it is empty, or became shorter while it was read")


def parse(data: bytes | bytearray, size: int) -> GgufHeader:
    """Read the header from the first bytes of a file of `size` bytes.

    Raises:
        TruncatedError: `data` ends inside the header; come back with more.
        GgufError: not a GGUF file, or one that cannot be right.
    """
    cursor = _Cursor(data, size)
    if bytes(data[:4]) != MAGIC[: len(data)] or size < 4:
        raise GgufError("it does not start with the magic bytes 'GGUF'")
    cursor.take(4)
    version = cursor.u32()
    if version not in _VERSIONS:
        raise GgufError(_wrong_version(version))
    tensors, keys = cursor.u64(), cursor.u64()
    _bounded("metadata keys", keys, _MOST_KEYS, size // _SMALLEST_KEY)
    _bounded("tensors", tensors, _MOST_TENSORS, size // _SMALLEST_TENSOR)
    found = _Metadata()
    for _ in range(keys):
        _read_key(cursor, found)
    parameters = _read_tensors(cursor, tensors, found.numbers.get("general.alignment", 32))
    return GgufHeader(
        version=version,
        architecture=found.texts.get("general.architecture", ""),
        name=found.texts.get("general.name", ""),
        kind=found.texts.get("general.type", ""),
        context_size=found.context_size(),
        file_type=found.numbers.get("general.file_type"),
        parameters=parameters,
        pooling=found.of_architecture(_POOLING),
        attention=attention(
            found.texts.get("general.architecture", ""), found.numbers, found.arrays
        ),
        vocabulary=found.numbers.get(_VOCABULARY, 0),
        template=found.texts.get(_TEMPLATE, ""),
        shard=found.numbers.get("split.no", 0),
        shards=max(1, found.numbers.get("split.count", 1)),
    )


@dataclass(slots=True)
class _Metadata:
    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def of_architecture(self, key: str) -> int | None:
        """The value of a key that begins with the name of the model's architecture."""
        return self.numbers.get(self.texts.get("general.architecture", "") + key)

    def context_size(self) -> int | None:
        found = self.of_architecture(_CONTEXT) or 0
        return found if 0 < found < 2**31 else None


class _Cursor:
    """A position in the bytes of the header, which never runs behind the file's end."""

    __slots__ = ("data", "held", "position", "size")

    def __init__(self, data: bytes | bytearray, size: int) -> None:
        self.data = data
        self.held = len(data)
        self.size = size
        self.position = 0

    def take(self, count: int) -> int:
        """Step over `count` bytes; the offset of the first."""
        start = self.position
        end = start + count
        if end > self.held:
            if end > self.size:
                raise GgufError("the file ends inside its header: it is cut short or damaged")
            if end > HEADER_LIMIT:
                raise GgufError(f"its header is larger than {HEADER_LIMIT >> 20} MiB")
            raise TruncatedError
        self.position = end
        return start

    def skip_strings(self, count: int) -> None:
        """Step over `count` strings, of which a vocabulary has some hundred thousand."""
        data, last, read = self.data, self.held - 8, _U64.unpack_from
        position = self.position
        for _ in range(count):
            if position > last:
                break
            position += 8 + read(data, position)[0]
        else:
            self.position = position
            self.take(0)
            return
        self.position = position
        self.take(8)

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.data, self.take(8))[0]
        return value

    def text(self, what: str, limit: int, errors: str = "strict") -> str:
        length = self.u64()
        if length > limit:
            raise GgufError(f"{what} is {length} bytes long")
        start = self.take(length)
        try:
            return bytes(self.data[start : start + length]).decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise GgufError(f"{what} is not UTF-8 text") from error


def _read_key(cursor: _Cursor, found: _Metadata) -> None:
    key = cursor.text("the name of a metadata key", _LONGEST_NAME)
    kind = cursor.u32()
    if kind == STRING:
        if key in _TEXTS:
            # A name is only shown, so an odd character in it is no reason to refuse a model.
            errors = "replace" if key == "general.name" else "strict"
            found.texts[key] = cursor.text(f"the value of {key}", _LONGEST_NAME, errors)
        else:
            length = cursor.u64()
            start = cursor.take(length)
            if key == _TEMPLATE and length <= _LONGEST_TEMPLATE:
                raw = bytes(cursor.data[start : start + length])
                found.texts[key] = raw.decode("utf-8", "replace")
    elif kind == ARRAY:
        _read_array(cursor, key, found)
    elif kind in SCALARS:
        layout = SCALARS[kind]
        start = cursor.take(struct.calcsize(layout))
        if key in _NUMBERS or key.endswith((_CONTEXT, _POOLING, *TOLD)):
            value = struct.unpack_from(layout, cursor.data, start)[0]
            if isinstance(value, int):
                found.numbers[key] = value
    else:
        raise GgufError(f"the metadata key {key[:64]!r} has the unknown type {kind}")


def _read_array(cursor: _Cursor, key: str, found: _Metadata) -> None:
    """Step over an array; what has a value per layer is kept, and how many tokens there are."""
    kind, count = cursor.u32(), cursor.u64()
    if kind == STRING:
        _bounded(f"elements of {key[:64]!r}", count, cursor.size, cursor.size // 8)
        cursor.skip_strings(count)
        if key == _VOCABULARY:
            found.numbers[key] = count
    elif kind in SCALARS:
        layout = SCALARS[kind]
        start = cursor.take(count * struct.calcsize(layout))
        if count <= MOST_LAYERS and key.endswith(TOLD):
            values = struct.unpack_from(f"<{count}{layout[1:]}", cursor.data, start)
            found.arrays[key] = tuple(int(one) for one in values if isinstance(one, int))
    else:
        raise GgufError(f"the array {key[:64]!r} has elements of the unknown type {kind}")


def _read_tensors(cursor: _Cursor, count: int, alignment: int) -> int:
    """The number of elements of all tensors; refuses tensors that reach behind the file."""
    parameters = end = 0
    for _ in range(count):
        cursor.take(_name_length(cursor.u64()))
        dimensions = cursor.u32()
        if dimensions > _MOST_DIMENSIONS:
            raise GgufError(f"a tensor has {dimensions} dimensions")
        elements = prod(cursor.u64() for _ in range(dimensions))
        kind, offset = cursor.u32(), cursor.u64()
        parameters += elements
        block, size = TENSOR_TYPES.get(kind, (1, 0))
        end = max(end, offset + elements // block * size)
    if alignment <= 0 or alignment > 1 << 20:
        raise GgufError(f"its alignment is {alignment}")
    start = -(-cursor.position // alignment) * alignment
    if count and start + end > cursor.size:
        raise GgufError(
            f"its tensors need {start + end} bytes and the file has {cursor.size}: "
            "it is cut short or damaged"
        )
    # No type spends less than one bit on an element.
    if parameters > cursor.size * 8:
        raise GgufError(f"it claims {parameters} parameters in {cursor.size} bytes")
    return parameters


def _name_length(length: int) -> int:
    if length > _LONGEST_NAME:
        raise GgufError(f"the name of a tensor is {length} bytes long")
    return length


def _bounded(what: str, count: int, most: int, fits: int) -> None:
    if count > most or count > fits:
        raise GgufError(f"it claims to have {count} {what}")


def _wrong_version(version: int) -> str:
    if version in {v << 24 for v in _VERSIONS}:
        return "it is a big-endian GGUF file: convert it for this machine's byte order"
    return (
        f"it is GGUF version {version}, and versions {_VERSIONS[0]} and {_VERSIONS[1]} are "
        "supported: convert it again with a current llama.cpp"
    )
