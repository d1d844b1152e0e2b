"""The command line."""

import subprocess
import sys

import pytest

from runnerd.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["sing"], 2)]
)
def test_words(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version succeed; a wrong word shows the usage on stderr and fails."""
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert (out if status == 0 else err).strip()


def test_light_imports() -> None:
    """Until the engine is started, nothing slow is imported."""
    found = imported("runnerd.server.run")
    assert not {"aiohttp", "asyncio", "prometheus_client", "logging"} & found


def test_a_server_starts_with_what_it_needs() -> None:
    """The Hub's library, and what reads packages' versions, come when somebody wants them."""
    found = imported("runnerd.standalone.main")
    assert "aiohttp" in found
    assert not {"huggingface_hub", "httpx", "importlib.metadata"} & found


def imported(module: str) -> set[str]:
    """All modules that are there when this one was imported."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
