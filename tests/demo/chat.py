"""The demo's questions, asked through the gateway as any OpenAI client would."""

import json
import time

import httpx

from tests.demo.model import NAME


def ask(gateway: str, question: str) -> None:
    """Stream one chat to the terminal, then the timings; a sleeping model is waited for."""
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
        httpx.Client(base_url=gateway, timeout=300, trust_env=False) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        if answer.is_error:
            raise RuntimeError(f"the gateway says {answer.status_code}: {answer.read().decode()}")
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
    woke = answer.headers.get("X-Model-Cold-Start")
    print(f"\n\nfirst token {first * 1000:.0f} ms, {tokens} tokens, {rate:.0f} tokens/s")
    if woke:
        print("the model slept: the gateway held the question while it woke")
