"""Tokens, as the last bytes of an answer tell them."""

import pytest

from modelrunner.gateway.telemetry.usage import usage


@pytest.mark.parametrize(
    ("tail", "tokens"),
    [
        (b'{"usage":{"completion_tokens":16,"prompt_tokens":33,"total_tokens":49}}', (33, 16)),
        (b'data: {"usage": {"prompt_tokens": 7,"completion_tokens": 2}}\n\ndata: [DONE]', (7, 2)),
        (b'{"object":"list","usage":{"prompt_tokens":5,"total_tokens":5},"data":[]}', (5, -1)),
        (b'{"type":"message","usage":{"input_tokens":12,"output_tokens":9}}', (12, 9)),
        (
            (
                b'data: {"message":{"usage":{"input_tokens":4,"output_tokens":0}}}\n\n'
                b'data: {"usage":{"output_tokens":31}}\n\n'
            ),
            (-1, 31),
        ),
        (b'{"done":true,"prompt_eval_count":26,"eval_count":298}\n', (26, 298)),
        (b'data: {"timings":{"prompt_n":3,"prompt_ms":1.5,"predicted_n":8}}', (3, 8)),
        (b'{"choices":[{"message":{"content":"\\"usage\\":{\\"prompt_tokens\\":9}"}}]}', (-1, -1)),
        (b'{"usage":null}', (-1, -1)),
        (b'{"usage":{"prompt_tokens":5,"prompt_tokens":6}}', (5, -1)),
        (b'{"usage":{"completion_tokens": 6, "prompt_tokens": 5}}', (5, 6)),
        (b'{"usage":{"prompt_tokens":-3,"completion_tokens":"4"}}', (-1, -1)),
        (b"", (-1, -1)),
        (b"\xff\x00" * 2000, (-1, -1)),
    ],
)
def test_each_dialect_tells_it_in_its_words(tail: bytes, tokens: tuple[int, int]) -> None:
    """What the answer's text quotes is no count, and what is not there is -1."""
    assert usage(tail) == tokens


def test_of_several_counts_the_last_object_is_told() -> None:
    """llama-server writes one with each event when it is asked to."""
    one = b'data: {"usage":{"prompt_tokens":5,"completion_tokens":%d}}\n\n'
    assert usage(b"".join(one % count for count in range(40))) == (5, 39)
