"""When a stream says something."""

import pytest

from tests.cluster.errors import ClusterError
from tests.perf.first_token import has_text, read_first_token


def test_the_first_token_is_the_first_event_with_text() -> None:
    """llama-server's first event only names the role."""
    assert not has_text('{"choices": [{"delta": {"role": "assistant", "content": null}}]}')
    assert not has_text('{"choices": [], "usage": {}}')
    assert has_text('{"choices": [{"delta": {"content": "Once"}}]}')


def test_what_follows_the_first_token_is_left_to_come() -> None:
    """Its time is what is taken, not that of the whole answer; without one there is none."""
    begin = ["", ": a comment", 'data: {"choices": [{"delta": {"content": null}}]}']
    lines = iter([*begin, 'data: {"choices": [{"delta": {"content": "a"}}]}', "data: [DONE]"])
    read_first_token(lines)
    assert list(lines) == ["data: [DONE]"]
    with pytest.raises(ClusterError, match="without a token"):
        read_first_token([*begin, "data: [DONE]"])
