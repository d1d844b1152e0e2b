"""Calls of tools, as a scripted engine makes them, reach each SDK through the gateway."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.integration.gateway.worlds import World
from tests.integration.gateway_management.conftest import Homes
from tests.support.gateway_process import GatewayProcess
from tests.support.runner_process import RunnerProcess

pytestmark = pytest.mark.control_plane

_ASKED: list[Any] = [{"role": "user", "content": "script: tools"}]
_CALLS = [("w", '{"city": "Rome"}'), ("t", "{}")]


@pytest.fixture(scope="module")
def gateway(
    homes: Homes, borrow: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """It serves a model whose engine follows scripts."""
    home = homes()
    folder = tmp_path_factory.mktemp("scripted")
    with RunnerProcess("calls", folder / "runner", namespace=home.namespace) as runner:
        world = World(home.api, home.namespace, borrow)
        world.model("calls")
        world.endpoint("calls", runner.port)
        home.gateway.wait("a runner", lambda: home.ask("GET", "/engines/ps").json())
        yield home.gateway


@pytest.mark.parametrize("stream", [False, True])
def test_chats(gateway: GatewayProcess, stream: bool) -> None:
    """OpenAI's: whole, or in pieces that have to be put together."""
    found: dict[int, list[str]] = {}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        more: Any = {"stream": stream}
        told: Any = client.chat.completions.create(model="calls", messages=_ASKED, **more)
        parts = [one.choices[0].delta for one in told if one.choices] if stream else []
        for part in parts or [told.choices[0].message]:
            for place, call in enumerate(part.tool_calls or ()):
                here = found.setdefault(getattr(call, "index", place), ["", ""])
                here[0] += call.function.name or ""
                here[1] += call.function.arguments or ""
    assert [tuple(one) for one in found.values()] == _CALLS


@pytest.mark.parametrize("stream", [False, True])
def test_responses(gateway: GatewayProcess, stream: bool) -> None:
    """Items of their own; in a stream the last event holds them all."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        more: Any = {"stream": stream}
        told: Any = client.responses.create(model="calls", input=_ASKED, **more)
        whole = [*told][-1].response if stream else told
    calls = [(one.name, one.arguments) for one in whole.output if one.type == "function_call"]
    assert calls == _CALLS


@pytest.mark.parametrize("stream", [False, True])
def test_messages(gateway: GatewayProcess, stream: bool) -> None:
    """Anthropic's: blocks with their input as an object."""
    base = f"{gateway.url}/anthropic"
    with anthropic.Anthropic(base_url=base, api_key="x", max_retries=0) as client:
        ask: Any = {"model": "calls", "messages": _ASKED, "max_tokens": 9}
        if stream:
            with client.messages.stream(**ask) as events:
                whole = events.get_final_message()
        else:
            whole = client.messages.create(**ask)
    assert [(one.name, one.input) for one in whole.content if one.type == "tool_use"] == [
        ("w", {"city": "Rome"}),
        ("t", {}),
    ]
