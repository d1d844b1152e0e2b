"""Clients that people use, unmodified, through the gateway: they use models and manage them."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support import manifests
from tests.support.clients import replays
from tests.support.clients.catalogue import CLIENTS, Client
from tests.support.clients.driving import Desk
from tests.support.clients.expectations import (
    CHAT_MODEL,
    EMBEDDING_MODEL,
    PULLED_MODEL,
    STEADY,
    Server,
    check,
)
from tests.support.clients.installs import clients_ready
from tests.support.clients.models import stocked_registry
from tests.support.clients.snippets import Snippet, run, snippets
from tests.support.gateway import NAME
from tests.support.registry_process import RegistryProcess
from tests.support.scripted_answers import __file__ as scripted_answers
from tests.support.scripted_engine import __file__ as scripted_engine
from tests.support.stack import SYSTEM_NAMESPACE, Stack, condition

__all__ = ["clients_ready"]

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

CONTEXT = 2048
_WITH_TOOLS = [client for client in CLIENTS if client.tools]
_MANAGERS = [client for client in CLIENTS if client.management]
_CONFIG = {"runtimeFlags": ["--threads", "1", *STEADY]}
# The others ask what the scripts ask; the stand-alone server answers all of them.
_SNIPPETS = [one for one in snippets() if one.language == "bash" and not one.manages]


@pytest.fixture(scope="module")
def desk(clients_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Where clients run."""
    return Desk.prepare(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """A registry that pods reach, with the real model to pull."""
    folder = tmp_path_factory.mktemp("registry")
    stock = {PULLED_MODEL: stack.weights}
    with stocked_registry(folder, stock, host=stack.provider.host_address) as running:
        yield running


@pytest.fixture(scope="module")
def home(stack: Stack, registry: RegistryProcess) -> Iterator[str]:
    """A namespace in which the gateway manages models, with one that chats and one that embeds."""
    name = f"clients-{stack.run_id}"
    chats = {"aliases": [f"{CHAT_MODEL}:latest"], "config": _CONFIG}
    embeds = {"aliases": [f"{EMBEDDING_MODEL}:latest"], "config": {"mode": "embedding"}}
    stack.apply(
        manifests.namespace(name),
        manifests.runner(name),
        manifests.model(name, "chats", stack.http_source(), **chats),
        manifests.model(name, "embeds", stack.http_source(), **embeds),
    )
    # What one gateway has written another hears of a moment later: requests that follow one
    # another at once mean one.
    stack.install(
        "gateway.replicas=1",
        "gateway.management.enabled=true",
        f"gateway.management.namespace={name}",
        f"gateway.management.insecureRegistries={{{registry.address}}}",
    )
    try:
        stack.wait_for(name, "chats", ready=True)
        stack.wait_for(name, "embeds", ready=True)
        yield name
    finally:
        stack.install()
        stack.delete("namespaces", "", name)


@pytest.fixture(scope="module")
def url(stack: Stack, home: str) -> Iterator[str]:
    """The gateway's, which manages models."""
    with stack.address(SYSTEM_NAMESPACE, NAME) as found:
        yield found


@pytest.fixture(scope="module")
def server(home: str, registry: RegistryProcess) -> Server:
    """What is true of it: what runs is called by the Model's own name."""
    pulled = registry.reference(PULLED_MODEL)
    return Server(context=CONTEXT, pulled=pulled, running="chats:latest")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.script)
def test_uses_models(client: Client, desk: Desk, url: str, server: Server) -> None:
    """It lists, chats, streams, embeds, unloads, wakes, and is refused as it is used to."""
    check(client, desk.outcomes(client, url, client.scenarios, server), server)


@pytest.mark.parametrize("client", _MANAGERS, ids=lambda client: client.script)
def test_manages_models(
    client: Client, desk: Desk, url: str, server: Server, stack: Stack, home: str
) -> None:
    """What it pulls becomes a Model with a second name, and is deleted again."""
    check(client, desk.outcomes(client, url, client.management, server), server)
    stack.wait("no Model is left of it", lambda: _names(stack, home) == {"chats", "embeds"})


@pytest.mark.parametrize("snippet", _SNIPPETS, ids=lambda snippet: snippet.name)
def test_guide(snippet: Snippet, desk: Desk, url: str) -> None:
    """The snippets of docs/guides/clients.md for a shell work as they stand there."""
    assert run(snippet, desk, url).strip()


@pytest.mark.parametrize(
    "replay",
    [replays.olla, replays.open_webui, replays.docker_agent],
    ids=lambda replay: replay.__name__,
)
def test_replay(replay: Callable[[httpx.Client], None], url: str, stack: Stack, home: str) -> None:
    """Programs that the tests cannot install: their calls are answered with what they read."""
    stack.wait_for(home, "chats", ready=True)
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        replay(http)


def test_docker_model_looks_around(desk: Desk, url: str, home: str) -> None:
    """Docker's command line finds the models by each of their names, and runs one."""
    model = partial(desk.docker_model, url)
    assert "Docker Model Runner is running" in model("status")
    assert json.loads(model("status", "--json"))["backends"]["llama.cpp"].startswith("Running")
    assert "smollm2" in model("list", "smollm2")
    found = json.loads(model("inspect", CHAT_MODEL))
    assert f"{CHAT_MODEL}:latest" in found["tags"]
    assert model("run", CHAT_MODEL, "What is the capital of France?").strip()
    assert "chats" in model("ps")
    assert "MB" in model("df")
    assert "no-such-model" in desk.docker_model_refuses(url, "inspect", "ai/no-such-model")


def test_docker_model_configures(desk: Desk, url: str, stack: Stack, home: str) -> None:
    """What a Model's author has set stays theirs; what nobody has set changes its spec."""
    model = partial(desk.docker_model, url)
    refused = desk.docker_model_refuses(url, "configure", "--context-size", "1024", CHAT_MODEL)
    assert "409" in refused or "contextSize" in refused
    model("configure", "--keep-alive", "7m", CHAT_MODEL)
    stack.wait("keepAlive is set", lambda: _spec(stack, home, "chats").get("keepAlive") == "7m0s")
    (shown,) = json.loads(model("configure", "show", CHAT_MODEL))
    assert shown["Config"]["keep_alive"] == "7m0s"
    assert shown["Config"]["context-size"] == CONTEXT


def test_docker_model_manages(
    desk: Desk, url: str, stack: Stack, home: str, registry: RegistryProcess
) -> None:
    """Pull with progress, run, unload, tag, remove: a Model object goes through all of it."""
    model, reference = partial(desk.docker_model, url), registry.reference(PULLED_MODEL)
    assert "Model pulled successfully" in model("pull", reference)
    assert "Using cached model" in model("pull", reference)
    (name,) = _names(stack, home) - {"chats", "embeds"}
    found = stack.wait_for(home, name, ready=True)
    assert condition(found, "Cached")["status"] == "True"
    # Without a question, to which the model might find no end.
    model("run", "--detach", reference)
    assert "Unloaded 1" in model("unload", reference)
    stack.wait_for(home, name, reason="ScaledToZero")
    model("tag", reference, "ai/renamed:v2")
    stack.wait("it is listed by that", lambda: "renamed" in model("list"))
    assert "Untagged" in model("rm", "ai/renamed:v2")
    model("rm", "--force", reference)
    stack.wait("its Model is gone", lambda: stack.get("models", home, name) is None)
    missing = desk.docker_model_refuses(url, "pull", registry.reference("ai/no-such-model"))
    assert "no-such-model" in missing
    (left,) = _names(stack, home) - {"chats", "embeds"}
    model("rm", "--force", registry.reference("ai/no-such-model"))
    stack.wait("the failed one is gone", lambda: stack.get("models", home, left) is None)


@pytest.fixture(scope="module")
def tools_server(stack: Stack, home: str) -> Iterator[None]:
    """The name of the model that chats means one before an engine that calls tools."""
    spec = {"podTemplate": {"spec": _scripted_pod()}}
    stack.apply(_scripted_program(home), manifests.runner(home, "scripted", **spec))
    alias = f"{CHAT_MODEL}:latest"
    source = stack.http_source()
    stack.apply(manifests.model(home, "chats", source, config=_CONFIG))
    model = {"runner": "scripted", "aliases": [alias]}
    stack.apply(manifests.model(home, "tools", source, **model))
    stack.wait_for(home, "tools", ready=True)
    yield
    stack.delete("models", home, "tools")
    stack.apply(manifests.model(home, "chats", source, aliases=[alias], config=_CONFIG))


@pytest.mark.parametrize("client", _WITH_TOOLS, ids=lambda client: client.script)
def test_calls_tools(
    client: Client, desk: Desk, url: str, server: Server, tools_server: None
) -> None:
    """Calls of tools come whole, streamed or not."""
    check(client, desk.outcomes(client, url, client.tools, server), server)


def _scripted_program(namespace: str) -> manifests.Manifest:
    """A small model calls no tools, so an engine does that calls them when it is told to."""
    program = "#!/usr/bin/env python3\n" + Path(scripted_engine).read_text("utf-8")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "scripted", "namespace": namespace},
        "data": {
            "llama-server": program,
            "scripted_answers.py": Path(scripted_answers).read_text("utf-8"),
        },
    }


def _scripted_pod() -> manifests.Manifest:
    # The program looks for its other half where it is in the repository.
    folder = "/scripted/tests/support"
    mount = {"name": "scripted", "mountPath": folder}
    program = {"name": "LLAMA_SERVER_PATH", "value": f"{folder}/llama-server"}
    volume = {"name": "scripted", "configMap": {"name": "scripted", "defaultMode": 0o555}}
    runner = {"name": "runner", "env": [program], "volumeMounts": [mount]}
    return {"containers": [runner], "volumes": [volume]}


def _names(stack: Stack, namespace: str) -> set[str]:
    return {one["metadata"]["name"] for one in stack.objects("models", namespace)}


def _spec(stack: Stack, namespace: str, name: str) -> manifests.Manifest:
    found = stack.get("models", namespace, name)
    assert found is not None
    spec: manifests.Manifest = found["spec"]
    return spec
