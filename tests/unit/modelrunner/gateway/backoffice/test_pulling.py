"""A pull in the words of each client."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from modelrunner.gateway.backoffice.pulling import docker_lines, ollama_lines
from modelrunner.gateway.management.making import Made
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.management.progress import Progress, Pulled, Pulling

DIGEST = "sha256:" + "ab" * 32
MADE = Made(namespace="ml", name="x", uid="u", new=True)
SILENT = "pulling it; no byte for more than 1m0s: why"


class _Followed:
    """Tells these steps."""

    def __init__(self, steps: Sequence[Progress]) -> None:
        self._steps = steps

    async def follow(self, _: Made) -> AsyncGenerator[Progress]:
        for step in self._steps:
            yield step


def _telling(*steps: Progress) -> Management:
    return cast("Management", _Followed(steps))


@pytest.mark.parametrize(
    ("digest", "line"),
    [
        (DIGEST, {"status": "pulling abababababab", "digest": DIGEST}),
        ("", {"status": "pulling it"}),
    ],
)
async def test_ollamas_numbers_need_no_digest(digest: str, line: dict[str, Any]) -> None:
    """A file that nobody has named by its digest is counted all the same."""
    step = Pulling(message="pulling it", digest=digest, completed=40, total=100)
    lines = [json.loads(one) async for one in ollama_lines(_telling(step, Pulled(100)), MADE)]
    assert lines == [{**line, "total": 100, "completed": 40}, {"status": "success"}]


async def test_docker_is_warned_of_each_trouble_once() -> None:
    """A silent source is a warning beside the numbers, which go on."""
    silent = Pulling(message=SILENT, digest=DIGEST, completed=40, total=100, troubled=True)
    found = docker_lines(_telling(silent, silent), MADE, "application/json", token=False)
    lines = [json.loads(one) async for one in found]
    assert [line["type"] for line in lines] == ["warning", "progress", "progress"]
    assert lines[0]["message"] == SILENT
    assert lines[1]["layer"] == {"id": DIGEST, "size": 100, "current": 40}


async def test_what_has_not_moved() -> None:
    """Docker's clients look for the words about a cache; Ollama's are told in a line of its own."""
    made, steps = replace(MADE, new=False), (Pulling(message="looking"), Pulled(100, here=True))
    found = docker_lines(_telling(*steps), made, "application/json", token=False)
    lines = [json.loads(one) async for one in found]
    assert [line["message"] for line in lines] == ["looking", "Using cached model: 100 B"]
    lines = [json.loads(one) async for one in ollama_lines(_telling(*steps), made)]
    assert [line["status"] for line in lines] == ["looking", "up to date", "success"]


async def test_what_has_moved() -> None:
    """The weights are there, but not those that were."""
    made, steps = replace(MADE, new=False), (Pulling(message="looking"), Pulled(100))
    found = docker_lines(_telling(*steps), made, "application/json", token=False)
    assert json.loads([one async for one in found][-1])["message"] == "Model pulled successfully"


async def test_why_nobody_looks() -> None:
    """Both are told, and the pull ends well all the same."""
    made = replace(MADE, new=False, unasked="nobody looks: why")
    found = docker_lines(_telling(Pulled(100)), made, "application/json", token=False)
    lines = [json.loads(one) async for one in found]
    assert [line["type"] for line in lines] == ["warning", "success"]
    assert [line["message"] for line in lines] == ["nobody looks: why", "Using cached model: 100 B"]
    lines = [json.loads(one) async for one in ollama_lines(_telling(Pulled(100)), made)]
    assert [line["status"] for line in lines] == ["nobody looks: why", "success"]
