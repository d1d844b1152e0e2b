"""The first start of the engine."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runnerd.config import Settings
from runnerd.engines.child import Child
from runnerd.engines.launch import Launcher
from runnerd.engines.reaper import ended
from tests.support.scripted_runner import CONFIG


async def test_started_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine runs when the launcher begins, without the configuration in its environment."""
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\nenv >{tmp_path}/env\nexec sleep 600\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("RUNNERD_CONFIG", "secret")
    monkeypatch.setenv("KEPT", "yes")
    settings = Settings(llama_server=str(program), socket_folder=str(tmp_path))
    launcher = Launcher(CONFIG, settings)
    assert launcher.first is None
    launcher.begin()
    assert isinstance(launcher.first, Child)
    (tmp_path / Path(launcher.socket).name).touch()
    launcher.abandon()
    assert await ended(launcher.first) == -9
    assert not _exists(launcher.socket)
    program.write_text("#!/bin/sh\nenv\n", encoding="ascii")
    child = launcher.start()
    assert await ended(child) == 0
    seen = os.read(child.output, 1 << 16).decode()
    assert "KEPT=yes" in seen
    assert "secret" not in seen


def _exists(path: str) -> bool:
    return os.path.lexists(path)


def test_not_a_program(tmp_path: Path) -> None:
    """A file that the system cannot execute is remembered, for the status to tell."""
    program = tmp_path / "engine"
    program.write_bytes(b"\x7fELF rubbish")
    program.chmod(0o755)
    settings = replace(Settings(), llama_server=str(program), socket_folder=str(tmp_path))
    launcher = Launcher(CONFIG, settings)
    assert launcher.first is None
    launcher.begin()
    assert isinstance(launcher.first, OSError)
    launcher.abandon()
