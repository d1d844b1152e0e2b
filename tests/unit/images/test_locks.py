"""The lock files: whole, hashed, and good for every index."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cluster.settings import ROOT

_LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def names(file: Path) -> set[str]:
    """The packages that a lock pins."""
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", file.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("file", _LOCKS, ids=lambda file: file.name)
def test_a_lock_holds_no_address(file: Path) -> None:
    """Neither an index nor a URL of a file: the machine's own settings decide."""
    text = file.read_text("utf-8")
    assert "://" not in text
    options = r"^\s*(-i|-f|--index|--extra-index|--find-links|--trusted)"
    assert not re.search(options, text, re.MULTILINE)


@pytest.mark.parametrize("file", _LOCKS, ids=lambda file: file.name)
def test_every_pin_has_hashes(file: Path) -> None:
    """Each entry is one version with at least one SHA-256, and there is nothing else."""
    entries = file.read_text("utf-8").replace("\\\n", " ").splitlines()
    pattern = r"[A-Za-z0-9._-]+==[^\s;]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+"
    for entry in entries:
        if not entry.startswith("#"):
            assert re.fullmatch(pattern, entry.strip()), entry[:100]


@pytest.mark.parametrize(
    ("project", "lock"), [("operator", "operator"), ("runner-image", "runner")]
)
def test_a_lock_covers_its_project(project: str, lock: str) -> None:
    """What a pyproject asks for is pinned for its image and for the developers' environment."""
    text = (ROOT / project / "pyproject.toml").read_text("utf-8")
    wanted = {
        re.split(r"[<>=\[ ;]", one)[0] for one in tomllib.loads(text)["project"]["dependencies"]
    }
    wanted -= {"modelrunner-protocol"}
    assert wanted <= names(ROOT / "requirements" / f"{lock}.txt")
    assert wanted <= names(ROOT / "requirements" / "dev.txt")


def test_images_and_tests_use_the_same_versions() -> None:
    """What is tested is what is shipped: no package is pinned to two versions.

    What the benchmarks compare us with, and the clients of the tests, have environments and
    versions of their own.
    """
    pins: dict[str, set[str]] = {}
    for file in (one for one in _LOCKS if not one.name.startswith(("peer-", "clients"))):
        for name, version in re.findall(r"^(\S+)==(\S+)", file.read_text("utf-8"), re.MULTILINE):
            pins.setdefault(name, set()).add(version)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}
