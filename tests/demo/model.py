"""The demo's ModelRunner and Model: applied, followed with progress, asked."""

import json
import time
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.support import manifests
from tests.support.kubeapi import KubeApi, Object
from tests.support.stack import Stack, condition

NAMESPACE: Final = "demo"
NAME: Final = "smollm2"
_UNSEEN: Final = "waiting for the operator to look at it"
_STAGES: Final = (
    ("pod scheduled", "scheduledSeconds"),
    ("image and volumes", "imageSeconds"),
    ("engine healthy", "engineSeconds"),
    ("warmed up", "warmupSeconds"),
    ("in all", "totalSeconds"),
)


def apply(stack: Stack, url: str) -> None:
    """Create the namespace, the ModelRunner and the Model."""
    source = {"http": {"url": url, "sha256": stack.weights_sha256}}
    one = manifests.model(NAMESPACE, NAME, source, aliases=["gpt-4o-mini"])
    stack.apply(manifests.namespace(NAMESPACE), manifests.runner(NAMESPACE), one)


def follow(stack: Stack, progress: Progress) -> Object:
    """Print each change of the Model's state until it is Ready."""
    said = ""
    found: Object = {}

    def ready() -> bool:
        nonlocal said, found
        found = stack.get("models", NAMESPACE, NAME) or {}
        status = found.get("status", {})
        one = condition(found, "Ready")
        words = status.get("download", {}).get("progress") or one.get("message", _UNSEEN)
        text = f"{status.get('phase', 'Pending')}: {words}"
        if text != said:
            said = text
            progress.say(f"Model {NAMESPACE}/{NAME}  {text}")
        current = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
        return current and one.get("status") == "True"

    stack.wait("the Model is Ready", ready, seconds=300)
    return found


def show_startup(found: Object) -> None:
    """Print the cold start by stage."""
    startup = found["status"].get("startup", {})
    print("\nCold start by stage")
    for text, key in _STAGES:
        if key in startup:
            print(f"  {text:18} {startup[key]:6.2f} s")


def ask(stack: Stack, question: str) -> None:
    """Stream one chat to the terminal, then the timings."""
    body = {
        "model": NAME,
        "stream": True,
        "max_tokens": 60,
        "messages": [{"role": "user", "content": question}],
        "stream_options": {"include_usage": True},
    }
    print(f"\n> {question}\n")
    begin, first, tokens = time.monotonic(), 0.0, 0
    with (
        stack.client(NAMESPACE, NAME) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        answer.raise_for_status()
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    first = first or time.monotonic() - begin
                    print(text, end="", flush=True)
    whole = time.monotonic() - begin
    rate = tokens / (whole - first) if whole > first else 0.0
    print(f"\n\nfirst token {first * 1000:.0f} ms, {tokens} tokens, {rate:.0f} tokens/s\n")


def show_next_steps(stack: Stack) -> None:
    """Print what is worth looking at."""
    print(stack.kubectl("get", "models,modelrunners", "-A"))
    with stack.address(NAMESPACE, NAME) as url:
        print("Next:")
        print(f"  export KUBECONFIG={stack.provider.kubeconfig}")
        print(f"  kubectl describe model -n {NAMESPACE} {NAME}")
        if stack.provider.routes_pods:
            body = '{"messages":[{"role":"user","content":"Hi"}]}'
            print(f"  curl {url}/v1/chat/completions -d '{body}'")
        print("  make down")


def remove(kubeconfig: Path, progress: Progress) -> None:
    """Delete the demo's namespace."""
    with KubeApi.connect(kubeconfig) as api:
        api.delete("v1", "Namespace", NAMESPACE)
    progress.say(f"the namespace {NAMESPACE} is being deleted")
