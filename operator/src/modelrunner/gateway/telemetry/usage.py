"""How many tokens an answer says that it took and gave."""

import re
from typing import Final

_WORDS: Final = re.compile(
    rb'"(?:(prompt_tokens|input_tokens|prompt_eval_count|prompt_n)'
    rb'|(completion_tokens|output_tokens|eval_count|predicted_n))"\s*:\s*(\d{1,15})'
)
# As nearly every answer has it; the same words as above, without a search for each.
_USUAL: Final = re.compile(
    rb'"usage":\s?\{"(?:prompt_tokens":\s?(\d{1,15}),\s?"completion'
    rb'|completion_tokens":\s?(\d{1,15}),\s?"prompt)_tokens":\s?(\d{1,15})'
)
# Where the words above can begin: what is before belongs to the answer's text.
_STARTS: Final = (b'"usage"', b'"prompt_eval_count"', b'"timings"')


def usage(tail: bytes) -> tuple[int, int]:
    """Tokens in and out, by the last bytes of an answer; -1 where they tell none.

    OpenAI (`prompt_tokens`, `completion_tokens`), Responses and Anthropic (`input_tokens`,
    `output_tokens`), Ollama (`prompt_eval_count`, `eval_count`), and llama-server's `timings`,
    which end a stream also where the client asked for no usage. Text that quotes these words is no
    match: its quotes are escaped in JSON.
    """
    start = -1
    for word in _STARTS:
        start = tail.rfind(word)
        if start >= 0:
            break
    if start < 0:
        return -1, -1
    if usual := _USUAL.match(tail, start):
        taken_first, given_first, other = usual.groups()
        if taken_first is not None:
            return int(taken_first), int(other)
        return int(other), int(given_first)
    taken = given = -1
    for found in _WORDS.finditer(tail, start):
        if found[1]:
            taken = int(found[3]) if taken < 0 else taken
        elif given < 0:
            given = int(found[3])
        if taken >= 0 and given >= 0:
            break
    return taken, given
