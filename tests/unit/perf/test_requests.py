"""The requests of the benchmarks."""

import json

import pytest

from tests.perf.load.requests import completion, stream


@pytest.mark.parametrize("size", [1024, 65536])
def test_a_body_has_exactly_the_size_and_asks_for_as_much(size: int) -> None:
    """So that "64 KB each way" is true."""
    head, _, body = completion("sk-x", size).partition(b"\r\n\r\n")
    assert len(body) == size
    assert f"Content-Length: {size}".encode() in head
    assert b"Authorization: Bearer sk-x" in head
    assert json.loads(body)["max_tokens"] == pytest.approx(size, abs=300)


def test_parameters_stand_where_the_model_server_looks() -> None:
    """It reads the first KiB only, whatever the size of the body."""
    assert b'"stream": true' in stream("sk-x", 50, size=65536).partition(b"\r\n\r\n")[2][:200]
