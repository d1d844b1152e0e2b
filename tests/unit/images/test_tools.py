"""`tests.images.tools`: installed only where they are needed and may be."""

import pytest

from tests.cluster.progress import Progress
from tests.images import tools


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A machine whose programs, user and docker are what the test says; `ran` is what it ran."""
    state: dict[str, object] = {"programs": {"apt-get"}, "root": True, "docker": False, "ran": []}

    def found(program: str) -> bool:
        programs = state["programs"]
        assert isinstance(programs, set)
        return program in programs

    def run(*words: str, **_: object) -> str:
        ran = state["ran"]
        assert isinstance(ran, list)
        ran.append(" ".join(words))
        return ""

    monkeypatch.setattr(tools, "found", found)
    monkeypatch.setattr(tools, "run", run)
    monkeypatch.setattr(tools, "docker_answers", lambda: state["docker"])
    monkeypatch.setattr("os.geteuid", lambda: 0 if state["root"] else 1000)
    return state


def test_what_is_missing_is_installed(machine: dict[str, object]) -> None:
    """On a fresh Debian, as root, both come from the distribution."""
    tools.ensure_tools(Progress())
    assert machine["ran"] == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends buildah debootstrap",
    ]


@pytest.mark.parametrize(
    "difference",
    [
        {"programs": {"apt-get", "buildah", "debootstrap"}},
        {"docker": True},
        {"root": False},
        {"programs": set()},
    ],
    ids=["installed", "docker", "not root", "no apt-get"],
)
def test_nothing_is_installed_otherwise(
    machine: dict[str, object], difference: dict[str, object]
) -> None:
    """Not when it is there, not beside docker, not without root, not on another distribution."""
    machine.update(difference)
    tools.ensure_tools(Progress())
    assert machine["ran"] == []
