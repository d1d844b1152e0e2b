"""The snippets of docs/guides/clients.md, which users copy and the tests run."""

import re
from dataclasses import dataclass
from typing import Final

from tests.cluster.settings import ROOT
from tests.support.clients.driving import Desk

GUIDE: Final = ROOT / "docs" / "guides" / "clients.md"
# As the guide has it, and nothing else is changed in a snippet.
_URL: Final = "http://localhost:12434"
_BLOCK: Final = re.compile(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SUFFIXES: Final = {"python": ".py", "javascript": ".mjs", "bash": ".sh"}


@dataclass(frozen=True)
class Snippet:
    """One snippet that can be run: `name` is its section's title and its place in it."""

    name: str
    language: str
    text: str

    @property
    def manages(self) -> bool:
        """Whether it pulls or deletes models, which the gateway has to be told to allow."""
        return "docker model pull" in self.text


def snippets() -> list[Snippet]:
    """Those of the guide, in its order."""
    found: list[Snippet] = []
    title, place = "", 0
    for heading, language, text in _BLOCK.findall(GUIDE.read_text("utf-8")):
        if heading:
            title, place = heading, 0
        elif language in _SUFFIXES:
            place += 1
            name = f"{title} {language} {place}".replace(" ", "-").lower()
            found.append(Snippet(name, language, text))
    return found


def run(snippet: Snippet, desk: Desk, url: str) -> str:
    """What a snippet prints when the server is at `url`.

    Raises:
        AssertionError: it failed; with what it told.
    """
    assert _URL in snippet.text, f"{snippet.name} does not ask {_URL}"
    file = desk.home / f"{snippet.name}{_SUFFIXES[snippet.language]}"
    file.write_text(snippet.text.replace(_URL, url), "utf-8")
    if snippet.language == "bash":
        # Docker's command line tells much of what it does as if it were errors.
        return desk.command(["bash", "-euo", "pipefail", "-c", 'exec 2>&1; . "$0"', file])
    return desk.run(file)
