"""The snippets of docs/guides/clients.md, which users copy and the tests run."""

import re
from dataclasses import dataclass
from typing import Final

from tests.cluster.settings import ROOT
from tests.support.clients.driving import Desk
from tests.support.clients.installs import docker_model

GUIDE: Final = ROOT / "docs" / "guides" / "clients.md"
# As the guide has it, and nothing else is changed in a snippet.
_URL: Final = "http://localhost:12434"
_BLOCK: Final = re.compile(r"^## (.+)$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SUFFIXES: Final = {"python": ".py", "javascript": ".mjs", "bash": ".sh"}
# The tests want curl to fail on an error's status, which a person sees in what it prints.
_CURL_SETTINGS: Final = "fail-with-body\nsilent\nshow-error\n"


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


def prepare(desk: Desk) -> None:
    """Make `docker model` and curl ready at a desk."""
    programs = desk.home / "programs"
    programs.mkdir()
    # Docker's command line calls its plugins this way; it is not needed for more.
    docker = programs / "docker"
    docker.write_text(f'#!/bin/sh\nshift\nexec "{docker_model()}" "$@"\n', "utf-8")
    docker.chmod(0o700)
    (desk.home / ".curlrc").write_text(_CURL_SETTINGS, "ascii")


def run(snippet: Snippet, desk: Desk, url: str) -> str:
    """What a snippet prints when the server is at `url`.

    Raises:
        AssertionError: it failed; with what it told.
    """
    assert _URL in snippet.text, f"{snippet.name} does not ask {_URL}"
    file = desk.home / f"{snippet.name}{_SUFFIXES[snippet.language]}"
    file.write_text(snippet.text.replace(_URL, url), "utf-8")
    if snippet.language == "bash":
        return desk.command(["bash", "-euo", "pipefail", file])
    return desk.run(file)
