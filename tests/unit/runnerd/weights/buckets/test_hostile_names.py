"""Objects with names that no file has.

The S3 server of the other tests keeps objects as files, so it cannot hold these names: parts that
are empty, "." or "..", a NUL, a name that is a folder as well. A list is written for them here.
"""

import html

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import S3Source
from runnerd.weights.buckets.bucket import Bucket
from runnerd.weights.buckets.doors import entrance
from runnerd.weights.choice import choose
from runnerd.weights.failure import WeightsError
from tests.support.file_server import Fault, FileServer

MODEL = "tiny/m.gguf"


def _list(*keys: str) -> bytes:
    found = "".join(
        f"<Contents><Key>{html.escape(key)}</Key><ETag>&quot;1&quot;</ETag><Size>7</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    return (
        f"<ListBucketResult><Name>b</Name><KeyCount>{len(keys)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
    ).encode()


async def _chosen(*keys: str) -> list[str]:
    """The model that is chosen of a bucket with these objects: what it is called there."""
    async with FileServer({"/models": _list(*keys)}).running() as server:
        source = S3Source(bucket="models", prefix="tiny", endpoint=server.url(""), insecure=True)
        bucket = Bucket(entrance(source, None, stall_timeout=9.0))
        choice = choose(source, await bucket.files("tiny"), "it")
    return [file.path for file in choice.weights]


@pytest.mark.parametrize(
    "key",
    [
        "tiny//x.txt",
        "tiny/../x.gguf",
        "tiny/./x.gguf",
        "tiny/a\tb.gguf",
        "tiny/a\x00b",
        "tiny/a\x7fb",
        'tiny//status code: 403 <Code>AccessDenied</Code>" contained',
    ],
)
async def test_names_that_cannot_be_asked_for(key: str) -> None:
    """The client library hides all objects behind such a one: it is named, whatever it says."""
    with pytest.raises(WeightsError, match="rename it, or set") as caught:
        await _chosen(key, MODEL)
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
    assert repr(key[:20])[1:-1] in str(caught.value)
    assert str(caught.value).isprintable()


async def test_a_prefix_that_cannot_be_asked_for() -> None:
    """Nobody asks the server for it."""
    async with FileServer().running() as server:
        server.always = Fault(status=500)
        source = S3Source(bucket="b", endpoint=server.url(""), insecure=True)
        bucket = Bucket(entrance(source, None, stall_timeout=9.0))
        with pytest.raises(WeightsError, match="rename it, or set"):
            await bucket.open("a/../m.gguf", 0, 1)
        assert server.requests == []


@pytest.mark.parametrize(
    "others",
    [
        ["tiny/"],
        ["tiny/folder/"],
        ["tiny/m.gguf/part"],
        ["tiny/größe 日本+%2F?#.txt"],
        ["tiny/" + "a" * 1019],
        ["tiny2/other.gguf"],
    ],
)
async def test_names_that_are_only_odd(others: list[str]) -> None:
    """They do not keep anybody from the model beside them."""
    assert await _chosen(*others, MODEL) == ["m.gguf"]


async def test_upwards_as_windows_has_it() -> None:
    """It is none of S3's separators, and one of those who read our messages."""
    with pytest.raises(WeightsError, match="leads out of its folder"):
        await _chosen("tiny/..\\x.gguf", MODEL)
