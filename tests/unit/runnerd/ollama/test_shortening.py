"""Which messages go when a chat is too long."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runnerd.ollama.shortening import shortened


def message(role: str, size: int = 100, **more: Any) -> dict[str, Any]:
    """A message of about `size` characters."""
    return {"role": role, "content": "x" * size, **more}


def test_the_oldest_go() -> None:
    """What the system says and the newest message stay."""
    chat = [message("system", 10), *(message("user") for _ in range(8)), message("user", 11)]
    found = shortened(chat, tokens=1000, context=500)
    assert found is not None
    assert found[0]["role"] == "system"
    assert found[-1] == chat[-1]
    assert 3 <= len(found) <= 6


def test_nothing_to_leave_out() -> None:
    """One message that is too long by itself is the client's to shorten."""
    assert shortened([message("user")], tokens=1000, context=10) is None
    assert shortened([message("system"), message("user")], tokens=1000, context=10) is None


def test_an_answer_of_a_tool_goes_with_its_call() -> None:
    """Templates refuse the one without the other."""
    call = message("assistant", 10, tool_calls=[{"function": {"name": "a", "arguments": "{}"}}])
    old = [message("user"), call, message("tool"), message("tool")]
    chat = [*old, message("user"), call, message("tool")]
    found = shortened(chat, tokens=1000, context=600)
    assert found is not None
    assert found[0]["role"] != "tool"
    assert found[-2:] == chat[-2:]


def test_images_count() -> None:
    """Their base64 does not: it says nothing about tokens."""
    picture = {"type": "image_url", "image_url": {"url": "x" * 1_000_000}}
    chat = [message("user") | {"content": [picture]}, message("user"), message("user")]
    found = shortened(chat, tokens=2000, context=1000)
    assert found == chat[1:]


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.integers(0, 50)),
        max_size=12,
    ),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_any_chat(parts: list[tuple[str, int]], tokens: int, context: int) -> None:
    """The order stays, no message is new, every system message stays, the last one stays."""
    chat = [message(role, size, at=at) for at, (role, size) in enumerate(parts)]
    found = shortened(chat, tokens=tokens, context=context)
    if found is None:
        return
    assert 0 < len(found) < len(chat)
    assert found == [one for one in chat if one in found]
    assert found[-1] == chat[-1]
    assert all(one in found for one in chat if one["role"] == "system")
