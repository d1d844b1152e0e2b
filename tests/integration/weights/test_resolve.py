"""`runnerd resolve` for http sources."""

import struct

import pytest

from modelrunner_protocol.reasons import Reason
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, header, model


def _failed(ended: Ended, reason: Reason, *, retryable: bool, says: str) -> None:
    assert ended.code == 1
    assert (ended.outcome.reason, ended.outcome.retryable) == (reason, retryable)
    assert says in ended.outcome.message
    assert ended.outcome.artifact is None
    assert "Traceback" not in ended.log


def _unsupported(ended: Ended, says: str) -> None:
    _failed(ended, Reason.UNSUPPORTED_FORMAT, retryable=False, says=says)


async def test_resolve_reads_the_header_alone(server: FileServer, commands: Commands) -> None:
    """Size, metadata and ETag are found with one small range of a large file."""
    size = 64 * MIB
    server.files["/model.gguf"] = model(SIZE) + bytes(size - SIZE)
    ended = await commands.resolve()
    artifact = ended.outcome.artifact
    assert (ended.code, ended.outcome.reason) == (0, None)
    assert artifact is not None
    assert (artifact.format, artifact.size_bytes, artifact.digest) == ("gguf", size, "")
    assert (artifact.architecture, artifact.quantization, artifact.parameters) == (
        "llama",
        "Q4_1",
        "1.05 M",
    )
    assert artifact.etag.startswith('"')
    assert [(f.path, f.size_bytes) for f in artifact.files] == [("model.gguf", size)]
    assert [r.headers["range"] for r in server.requests] == [f"bytes=0-{2 * MIB - 1}"]
    assert not list(commands.root.iterdir())


async def test_known_digest_is_told(commands: Commands) -> None:
    """The digest of an artifact is known before the download only if the user gave it."""
    commands.sha256 = "cd" * 32
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert (artifact.digest, artifact.files[0].sha256) == (f"sha256:{'cd' * 32}", "cd" * 32)


@pytest.mark.parametrize("ranges", [True, False])
async def test_large_header(ranges: bool, server: FileServer, commands: Commands) -> None:
    """A header of several MiB is read whole, with ranges or without."""
    # To read so much of it takes a slow machine seconds.
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "120s"
    metadata = {**MODEL, "tokenizer.ggml.merges": [f"token {i}" for i in range(300_000)]}
    server.files["/model.gguf"] = model(40 * MIB, metadata)
    server.ranges = ranges
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    assert artifact.size_bytes == 40 * MIB
    assert len(server.requests) == (2 if ranges else 1)


async def test_server_without_ranges(server: FileServer, commands: Commands) -> None:
    """A plain server is read from the start, and left when the header is there."""
    server.ranges = False
    server.files["/model.gguf"] = model(SIZE) + bytes(200 * MIB)
    ended = await commands.resolve()
    assert ended.code == 0
    assert server.sent < 20 * MIB


async def test_unknown_length(server: FileServer, commands: Commands) -> None:
    """A server that does not tell the length cannot be planned with: no volume can be sized."""
    server.ranges = False
    server.always = Fault(headers={"Content-Length": None})
    ended = await commands.resolve()
    says = "does not tell the file's length"
    _failed(ended, Reason.PULL_FAILED, retryable=False, says=says)


async def test_tags_that_are_no_text(server: FileServer, commands: Commands) -> None:
    """Bytes that could be neither noted nor sent again tie nothing together."""
    server.always = Fault(headers={"ETag": '"\xff"', "Last-Modified": "\xff"})
    ended = await commands.resolve()
    assert ended.code == 0, ended.log
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.etag == ""


async def test_an_absurd_length(server: FileServer, commands: Commands) -> None:
    """No volume is made for what no model has."""
    told = f"bytes 0-{2 * MIB - 1}/{1 << 60}"
    server.always = Fault(headers={"Content-Range": told})
    says = "announces sizes that cannot be right"
    _failed(await commands.resolve(), Reason.UNSUPPORTED_FORMAT, retryable=False, says=says)


async def test_unknown_length_with_ranges(server: FileServer, commands: Commands) -> None:
    """Nor does a range of a file of unknown length help."""
    server.always = Fault(headers={"Content-Range": f"bytes 0-{2 * MIB - 1}/*"})
    _failed(await commands.resolve(), Reason.PULL_FAILED, retryable=False, says="file's length")


_SAFETENSORS = struct.pack("<Q", 60) + b'{"weight":{"dtype":"F32"}}' + bytes(100)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "looks like an HTML or XML page"),
        (_SAFETENSORS, "looks like a safetensors file"),
        (b"PK\x03\x04" + bytes(100), "looks like a zip archive"),
        (b"", "is empty"),
        (b"GG", "is not a GGUF file"),
        (header(version=1), "GGUF version 1"),
        (header(version=4), "GGUF version 4"),
        (model(SIZE)[:-1000], "cut short"),
        (header({**MODEL, "general.type": "adapter"}), "is a LoRA adapter"),
        (header(keys=2**40), "metadata keys"),
        (header({**MODEL, "split.count": 3, "split.no": 1}), "is part 2 of 3"),
    ],
)
async def test_what_is_no_model(
    content: bytes, says: str, server: FileServer, commands: Commands
) -> None:
    """Whatever is not a model is told by what it looks like."""
    server.files["/model.gguf"] = content
    _unsupported(await commands.resolve(), says)


async def test_split_model(server: FileServer, commands: Commands) -> None:
    """One part of several says how many there are, and what to do."""
    commands.url = server.url("/big-00001-of-00003.gguf")
    server.files["/big-00001-of-00003.gguf"] = model(SIZE)
    _unsupported(await commands.resolve(), "is part 1 of 3 of a split model")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_refused(status: int, server: FileServer, commands: Commands) -> None:
    """What only a change of the spec mends ends at once."""
    server.always = Fault(status=status)
    ended = await commands.resolve()
    _failed(ended, Reason.PULL_FAILED, retryable=False, says=f"the server answered {status}: ")
    assert len(server.requests) == 1


async def test_unavailable_for_a_while(server: FileServer, commands: Commands) -> None:
    """A server that is ill is asked again after the time it asks for."""
    server.faults.append(Fault(status=503, headers={"Retry-After": "1"}))
    ended = await commands.resolve()
    assert ended.code == 0
    assert "trying again in 1.0 s" in ended.log


async def test_unavailable_for_long(server: FileServer, commands: Commands) -> None:
    """A server that wants to be left alone for longer than we wait ends the attempt at once."""
    server.always = Fault(status=503, headers={"Retry-After": "3600"})
    ended = await commands.resolve()
    _failed(ended, Reason.PULL_FAILED, retryable=True, says="asks to wait 1h0m0s")


async def test_header_in_pieces(server: FileServer, commands: Commands) -> None:
    """A connection that breaks within the header is tried again."""
    server.faults.append(Fault(cut_after=100))
    assert (await commands.resolve()).code == 0


@pytest.mark.parametrize(
    ("fault", "stall", "says"),
    [
        (Fault(hang_after=0), "1s", "timed out"),
        # A trickle is never silent for long, unless the machine stands still.
        (Fault(pace=100), "60s", "did not come in time"),
        (Fault(cut_after=0), "60s", "broke off"),
    ],
)
async def test_no_answer(
    fault: Fault, stall: str, says: str, server: FileServer, commands: Commands
) -> None:
    """Silence and trickles end within the time for resolving, as a failure to try again."""
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "6s"
    commands.environment["RUNNERD_PULL_STALL_TIMEOUT"] = stall
    server.always = fault
    _failed(await commands.resolve(), Reason.PULL_FAILED, retryable=True, says=says)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/model.gguf", "127.0.0.1 does not answer (Connect call failed"),
        ("http://no-such-host.invalid/m", "the name is not known to DNS"),
    ],
)
async def test_nobody_there(url: str, says: str, commands: Commands) -> None:
    """Refused connections and unknown names may be a matter of time."""
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "3s"
    commands.url = url
    ended = await commands.resolve()
    assert (ended.code, ended.outcome.retryable) == (1, True)
    assert says in ended.outcome.message


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/m.gguf",
        "/m.gguf",
        "http://",
        "http://[::1/m",
        "http://h:x",
    ],
)
async def test_url_that_is_not_http(url: str, commands: Commands) -> None:
    """Other URLs are refused before anything is opened."""
    commands.url = url
    ended = await commands.resolve()
    assert (ended.code, ended.outcome.reason, ended.outcome.retryable) == (
        1,
        Reason.PULL_FAILED,
        False,
    )
    assert "URL" in ended.outcome.message
    assert "Traceback" not in ended.log
