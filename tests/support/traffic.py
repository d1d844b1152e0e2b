"""Requests without a break, while something happens: none may fail."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Traffic:
    """What the workers saw. `failures` hold the answer or the error of each that was not whole."""

    served: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0

    def require_whole(self, at_least: int) -> None:
        """Fail unless all requests were answered in full, and there were some.

        Raises:
            AssertionError: with the first failures.
        """
        assert not self.failures, f"{len(self.failures)} lost: {self.failures[:5]}"
        assert self.served.total() >= at_least, f"only {self.served.total()} requests"


@contextmanager
def traffic(
    url: str, body: dict[str, Any], *, workers: int = 3, headers: dict[str, str] | None = None
) -> Iterator[Traffic]:
    """Ask for chats at `url` until the block ends; every second worker streams."""
    seen, stop = Traffic(), threading.Event()
    threads = [
        threading.Thread(
            target=_work, args=(url, {**body, "stream": bool(i % 2)}, headers or {}, seen, stop)
        )
        for i in range(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(
    url: str, body: dict[str, Any], headers: dict[str, str], seen: Traffic, stop: threading.Event
) -> None:
    with httpx.Client(base_url=url, timeout=120, trust_env=False, headers=headers) as client:
        while not stop.is_set():
            begin = time.monotonic()
            try:
                with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    lines = list(answer.iter_lines())
            except httpx.HTTPError as error:
                seen.failures.append(repr(error))
                continue
            seen.longest = max(seen.longest, time.monotonic() - begin)
            problem = _problem(answer, lines, stream=bool(body["stream"]))
            if problem:
                seen.failures.append(problem)
            else:
                seen.served["stream" if body["stream"] else "whole"] += 1


def _problem(answer: httpx.Response, lines: Sequence[str], *, stream: bool) -> str:
    """What is missing of an answer; "" when it is whole."""
    told = f"{answer.status_code} {' '.join(lines)[-300:]}"
    if answer.status_code != 200:
        return told
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    if stream:
        broken = any('"error"' in event[:10] for event in events)
        return told if broken or not events or events[-1] != "[DONE]" else ""
    try:
        return "" if json.loads("".join(lines))["choices"] else told
    except (ValueError, KeyError):
        return told
