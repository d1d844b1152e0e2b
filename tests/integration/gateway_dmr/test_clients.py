"""Unmodified clients before the gateway: programs call by call, and the SDKs of Python."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest

from tests.integration.gateway.test_keys import make_key
from tests.integration.gateway.test_waking import ASLEEP
from tests.integration.gateway_dmr.conftest import Gateways
from tests.integration.gateway_dmr.served import EMBEDDER, Served
from tests.support.clients import replays
from tests.support.gateway_process import GatewayProcess

pytestmark = [pytest.mark.engine, pytest.mark.control_plane]

_SAID: list[Any] = [{"role": "user", "content": "Hi."}]
_SHORT: Any = {"max_tokens": 2}


@dataclass(frozen=True)
class Sdks:
    """The SDKs, which ask once and keep no connection."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    ollama: ollama.Client

    def chats(self, model: str) -> dict[str, Callable[[], set[Any]]]:
        """Every way to chat: which model each answer, and each piece of it, names."""
        completions, responses = self.openai.chat.completions, self.openai.responses
        ask: Any = {"model": model, "messages": _SAID}
        few: Any = {"options": {"num_predict": 2}}
        put: Any = {"model": model, "input": _SAID, "max_output_tokens": 2}

        def events() -> set[Any]:
            found = (getattr(one, "response", None) for one in responses.create(**put, stream=True))
            return {one.model for one in found if one is not None}

        def messages() -> set[Any]:
            found = self.anthropic.messages.create(**ask, **_SHORT, stream=True)
            return {one.message.model for one in found if one.type == "message_start"}

        return {
            "chat": lambda: {completions.create(**ask, **_SHORT).model},
            "chunks": lambda: {
                one.model for one in completions.create(**ask, **_SHORT, stream=True)
            },
            "response": lambda: {responses.create(**put).model},
            "events": events,
            "message": lambda: {self.anthropic.messages.create(**ask, **_SHORT).model},
            "messages": messages,
            "ollama": lambda: {self.ollama.chat(**ask, **few).model},
            "lines": lambda: {one.model for one in self.ollama.chat(**ask, **few, stream=True)},
            "generate": lambda: {
                one.model for one in self.ollama.generate(model, "Hi.", **few, stream=True)
            },
        }

    def raised(self, model: str) -> dict[str, tuple[str, int]]:
        """What each way to chat raises: the error's name and its status."""
        found = {}
        for name, chat in self.chats(model).items():
            with pytest.raises(_ERRORS) as raised:
                chat()
            error: Any = raised.value
            found[name] = (type(error).__name__, error.status_code)
        return found


_ERRORS = (openai.APIStatusError, anthropic.APIStatusError, ollama.ResponseError)


@contextmanager
def _sdks(url: str, key: str = "unused") -> Iterator[Sdks]:
    once: Any = {"api_key": key, "max_retries": 0, "timeout": 60}
    with (
        openai.OpenAI(base_url=f"{url}/engines/v1", **once) as first,
        anthropic.Anthropic(base_url=f"{url}/anthropic", **once) as second,
        ollama.Client(
            url, trust_env=False, timeout=60, headers={"Authorization": f"Bearer {key}"}
        ) as third,
    ):
        yield Sdks(first, second, third)


@pytest.fixture
def sdks(all_modes: Served) -> Iterator[Sdks]:
    """They at the gateway."""
    with _sdks(all_modes.home.gateway.url) as found:
        yield found


@pytest.fixture(scope="module")
def plain(gateways: Gateways) -> GatewayProcess:
    """A gateway as it is when nobody sets anything."""
    return gateways()


def _all(name: str, status: int) -> dict[str, tuple[str, int]]:
    ways = {
        **dict.fromkeys(("chat", "chunks", "response", "events", "message", "messages"), name),
        **dict.fromkeys(("ollama", "lines", "generate"), "ResponseError"),
    }
    return {way: (error, status) for way, error in ways.items()}


@pytest.mark.parametrize(
    "replay",
    [replays.docker_agent, replays.olla, replays.open_webui],
    ids=lambda replay: replay.__name__,
)
def test_programs(replay: Callable[[httpx.Client], None], all_modes: Served) -> None:
    """Their calls are answered with what they read."""
    with all_modes.http as http:
        replay(http)


@pytest.mark.parametrize(
    "replay",
    [partial(replays.docker_agent, managed=False), replays.olla, replays.open_webui],
    ids=("docker_agent", "olla", "open_webui"),
)
def test_programs_need_no_management(
    replay: Callable[[httpx.Client], None], plain: GatewayProcess
) -> None:
    """Whoever may not configure models uses them as they are."""
    with httpx.Client(base_url=plain.url, timeout=60, trust_env=False) as http:
        replay(http)


@pytest.mark.parametrize(
    "name",
    [
        *("smollm2", "ai/smollm2", "ai/smollm2:latest", "AI/SmolLM2", "ai%2Fsmollm2"),
        *("docker.io/ai/smollm2", "index.docker.io/ai/smollm2:latest", "HOME/smollm2"),
    ],
)
def test_every_spelling(sdks: Sdks, all_modes: Served, name: str) -> None:
    """A model is found by it, and every answer and every piece of one names it so."""
    name = name.replace("HOME", all_modes.home.namespace)
    assert sdks.openai.models.retrieve(name).id == name
    assert sdks.anthropic.models.retrieve(name).id == name
    assert sdks.ollama.show(name).capabilities
    said = {way: chat() for way, chat in sdks.chats(name).items()}
    assert said == {way: {name} for way in said}


def test_unknown_models(sdks: Sdks) -> None:
    """404 for each of them, streams too."""
    assert sdks.raised("ai/no-such-model") == _all("NotFoundError", 404)


def test_wrong_mode(sdks: Sdks) -> None:
    """400 for a chat with a model that embeds, and for vectors of one that chats."""
    assert sdks.raised(EMBEDDER) == _all("BadRequestError", 400)
    with pytest.raises(openai.BadRequestError, match=r"config\.mode embedding"):
        sdks.openai.embeddings.create(model="ai/smollm2", input="a")


def test_vectors(sdks: Sdks) -> None:
    """Numbers are the same in floats and in base64, which openai-python asks for by itself."""
    ask = partial(sdks.openai.embeddings.create, model=EMBEDDER, input=["a", "b"])
    coded, plain = ask(), ask(encoding_format="float")
    assert (coded.model, len(coded.data)) == (EMBEDDER, 2)
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert len(sdks.ollama.embed(EMBEDDER, ["a", "b"]).embeddings) == 2


def test_keys(gateways: Gateways, all_modes: Served) -> None:
    """401 for a key that is none, 403 for one of another model; keys are never logged."""
    gateway = gateways(MODELRUNNER_GATEWAY_API_KEYS="true")
    home = all_modes.home.namespace
    key = make_key(all_modes.world, "clients", "--models", f"{home}/embeddinggemma")
    with _sdks(gateway.url, "sk-nobody") as sdks:
        assert sdks.raised("ai/smollm2") == _all("AuthenticationError", 401)
    with _sdks(gateway.url, key) as sdks:
        gateway.wait("the key", lambda: _listed(gateway, key) == 200)
        listed = "embeddinggemma:latest"
        assert {one.model for one in sdks.ollama.list().models} == {listed, f"ai/{listed}"}
        assert sdks.raised("ai/smollm2") == _all("PermissionDeniedError", 403)
    told = f"{gateway.log}{gateway.accesses}"
    assert key not in told
    assert "sk-nobody" not in told


def _listed(gateway: GatewayProcess, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(
        f"{gateway.url}/v1/models", headers=headers, trust_env=False, timeout=60
    ).status_code


def test_models_that_do_not_serve(plain: GatewayProcess, all_modes: Served) -> None:
    """503 with the reason for one that failed, 429 where nobody more may wait."""
    world = all_modes.world
    world.model("broken")
    world.stalled("broken", "LoadFailed", "the weights are no GGUF")
    world.model("crowded", status={**ASLEEP, "activation": {"maxHeld": 0, "timeoutSeconds": 5}})
    names = {"broken", "crowded"}
    try:
        with _sdks(plain.url) as sdks:
            plain.wait("both", lambda: names <= {one.id for one in sdks.openai.models.list()})
            # The SDKs have other names for it.
            assert {status for _, status in sdks.raised("broken").values()} == {503}
            with pytest.raises(ollama.ResponseError, match="the weights are no GGUF"):
                sdks.ollama.chat("broken", _SAID)
            assert sdks.raised("crowded") == _all("RateLimitError", 429)
    finally:
        for name in names:
            world.delete(name)
