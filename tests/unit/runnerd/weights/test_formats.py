"""Names for what is not a model."""

import json
import struct

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights import formats
from runnerd.weights.attention import Attention
from runnerd.weights.failure import WeightsError
from runnerd.weights.gguf import GgufError, GgufHeader

_SAFETENSORS = struct.pack("<Q", 60) + json.dumps({"a": {"dtype": "F32"}}).encode()


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>", "starts with '<!DOCTYPE ht' and looks like an HTML or XML page"),
        (b"\n  <html>", "looks like an HTML or XML page"),
        (_SAFETENSORS, "looks like a safetensors file"),
        (b"PK\x03\x04", "looks like a zip archive or a PyTorch checkpoint"),
        (b"\x1f\x8b\x08", "looks like a gzip file"),
        (b'{"error":"x"}', "looks like JSON"),
        (b"version https://git-lfs.github.com/spec/v1", "looks like a Git LFS pointer"),
        (b"tjgg", "older than GGUF"),
        (b"\x00\x01\x02", r"it starts with '\x00\x01\x02'"),
    ],
)
def test_looks_like(head: bytes, says: str) -> None:
    """People recognise what they have put behind a URL by its first bytes."""
    assert says in formats.looks_like(head)


def test_not_gguf_says_what_was_found() -> None:
    """A failure of the format names the file and what it looks like."""
    error = formats.not_gguf("http://x/y", b"<!DO", GgufError("…"))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert not error.retryable
    assert "http://x/y is not a GGUF file: it starts with '<!DO'" in str(error)


def test_broken_gguf_says_why() -> None:
    """A GGUF file that cannot be loaded tells the parser's reason."""
    error = formats.not_gguf("f", b"GGUF\x01", GgufError("it is GGUF version 1"))
    assert str(error) == "f is a GGUF file that cannot be loaded: it is GGUF version 1"


@pytest.mark.parametrize("kind", ["adapter", "mmproj", "imatrix"])
def test_parts_are_no_models(kind: str) -> None:
    """A LoRA, a projector and an importance matrix are GGUF files that nobody can chat with."""
    with pytest.raises(WeightsError, match="not a model"):
        formats.check_model("f", GgufHeader(version=3, architecture="llama", kind=kind))


def test_model_without_architecture_is_refused() -> None:
    """An engine cannot load what does not name its architecture."""
    with pytest.raises(WeightsError, match="without a model architecture"):
        formats.check_model("f", GgufHeader(version=3))


@pytest.mark.parametrize(
    ("name", "shards", "expected"),
    [
        ("a-00002-of-00003.gguf", 1, (2, 3)),
        ("a-00001-of-00001.gguf", 1, (1, 1)),
        ("a.gguf", 1, (1, 1)),
        ("a.gguf", 4, (1, 4)),
    ],
)
def test_shard_of(name: str, shards: int, expected: tuple[int, int]) -> None:
    """A part of a split model is known by its name, or by its metadata."""
    assert formats.shard_of(name, GgufHeader(version=3, shards=shards)) == expected


def test_shard_names() -> None:
    """The first part's name tells all the others."""
    assert formats.shard_names("m-00001-of-00002.gguf") == (
        "m-00001-of-00002.gguf",
        "m-00002-of-00002.gguf",
    )
    assert formats.shard_names("m.gguf") == ()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, ""),
        (999, "999"),
        (1500, "1.50 K"),
        (134_515_008, "134.52 M"),
        (8_030_261_248, "8.03 B"),
        (1_040_000_000_000, "1.04 T"),
    ],
)
def test_count_text(count: int, text: str) -> None:
    """Parameters are written as in Docker Model Runner's listings."""
    assert formats.count_text(count) == text


def test_artifact_of() -> None:
    """Sizes add up over the files, and an unknown quantisation stays out."""
    header = GgufHeader(version=3, architecture="qwen3", file_type=1024, context_size=4096)
    header.template = "{% if tools %}"
    files = (WeightsFile(path="a", size_bytes=1), WeightsFile(path="b", size_bytes=2))
    artifact = formats.artifact_of(header, files, parameters=2000, etag='"x"')
    assert (artifact.size_bytes, artifact.quantization, artifact.parameters) == (3, "", "2.00 K")
    assert (artifact.architecture, artifact.context_size, artifact.etag) == ("qwen3", 4096, '"x"')
    assert artifact.abilities == ("tools",)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("model.gguf", 1), ("MODEL.gguf", 1)], "has the name 'MODEL.gguf' twice"),
        ([("a/b.json", 1)], "cannot be the name"),
        ([("../b.json", 1)], "cannot be the name"),
        ([(".hidden", 1)], "cannot be the name"),
        ([("manifest.json", 1)], "cannot be the name"),
        ([("a\nb", 1)], "cannot be the name"),
        ([("x" * 252, 1)], "cannot be the name"),
        ([("a", -1)], "sizes that cannot be right"),
        ([("a", 1 << 64)], "sizes that cannot be right"),
        ([("a", 1 << 43), ("b", 1 << 43), ("c", 1)], "sizes that cannot be right"),
    ],
)
def test_names_and_sizes_of_no_model(files: list[tuple[str, int]], says: str) -> None:
    """They are refused before a volume is made for them."""
    found = [WeightsFile(path=path, size_bytes=size) for path, size in files]
    with pytest.raises(WeightsError, match=says) as caught:
        formats.check_files(found, "x")
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_the_memory_of_a_model() -> None:
    """Weights and projector are loaded, a license is not; without layers nobody can tell."""
    files = (
        WeightsFile(path="model.gguf", size_bytes=1000),
        WeightsFile(path="model.mmproj", size_bytes=100, kind=FileKind.PROJECTOR),
        WeightsFile(path="LICENSE", size_bytes=7, kind=FileKind.LICENSE),
    )
    known = GgufHeader(version=3, context_size=512, attention=Attention(embedding=8, whole=(4, 4)))
    found = formats.artifact_of(known, files).memory_bytes
    assert found == 1100 + 512 * 8 * 2 + (64 << 20) + 512 * (2 * 512 + 64 * 8)
    assert formats.artifact_of(GgufHeader(version=3), files).memory_bytes is None
