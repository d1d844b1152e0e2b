"""Where a key is looked for."""

import pytest

from modelrunner.gateway.auth.presented import presented_key
from modelrunner.gateway.http.fields import CREDENTIALS
from modelrunner.gateway.messages import Headers


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"host", b"x"), (b"cookie", b"key")], None),
        ([(b"authorization", b"Bearer abc")], b"abc"),
        ([(b"authorization", b"bearer   abc")], b"abc"),
        ([(b"authorization", b"BEARER a b")], b"a b"),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Bearerabc")], None),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"authorization", b"abc")], None),
        ([(b"x-api-key", b"abc")], b"abc"),
        ([(b"api-key", b"abc")], b"abc"),
        ([(b"x-api-key", b"")], None),
        ([(b"api-key", b"azure"), (b"x-api-key", b"anthropic")], b"anthropic"),
        ([(b"x-api-key", b"anthropic"), (b"authorization", b"Bearer openai")], b"openai"),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"key")], b"key"),
        ([(b"authorization", b"Bearer"), (b"api-key", b"key")], b"key"),
        ([(b"x-api-key", b"first"), (b"x-api-key", b"second")], b"first"),
    ],
)
def test_where_it_is_looked_for(headers: Headers, key: bytes | None) -> None:
    """OpenAI's place before Anthropic's before Azure's; another scheme is no key."""
    assert presented_key(headers) == key


def test_no_place_is_passed_on() -> None:
    """A runner never sees a key: the front drops each header in which one is looked for."""
    places = {name for name in CREDENTIALS if presented_key([(name, b"Bearer abc")])}
    assert places == {b"authorization", b"x-api-key", b"api-key"}
