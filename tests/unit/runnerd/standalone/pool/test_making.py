"""How real engines are made, and what they inherit."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import UnixConnector

from runnerd.config import ConfigError, Settings
from runnerd.server.served import Served
from runnerd.standalone.pool import inherited, maker
from tests.support.scripted_runner import CONFIG, eventually

GIB = 1 << 30


def test_kept_prompts_are_bounded() -> None:
    """Of a budget a sixteenth, unless somebody said how much, or nobody counts."""
    assert inherited({"A": "b"}, 8 * GIB) == {"A": "b", "LLAMA_ARG_CACHE_RAM": "512"}
    assert inherited({"LLAMA_ARG_CACHE_RAM": "7"}, 8 * GIB) == {"LLAMA_ARG_CACHE_RAM": "7"}
    assert inherited({}, None) == {}


def _socket(served: Served) -> str:
    connector = served.session.connector
    assert isinstance(connector, UnixConnector)
    return connector.path


async def test_each_has_its_socket(tmp_path: Path) -> None:
    """Nothing runs yet, no two engines listen at the same place, and any name is known."""
    settings = Settings(llama_server="/bin/true", socket_folder=str(tmp_path))
    make = maker(settings, environment={})
    one, other = make(CONFIG), make(CONFIG)
    assert _socket(one) != _socket(other)
    assert Path(_socket(one)).parent == tmp_path
    assert one.checks.knows("anything")
    assert one.engine.epoch == 0
    for served in (one, other):
        await served.stop(0)


async def test_no_program(tmp_path: Path) -> None:
    """That there is no engine to start is said when one is made."""
    make = maker(Settings(llama_server=str(tmp_path / "none")), environment={})
    with pytest.raises(ConfigError, match="LLAMA_SERVER_PATH"):
        make(CONFIG)


async def test_the_environment_reaches_the_engine(tmp_path: Path) -> None:
    """An engine gets the variables that it was to inherit, and no others."""
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\nenv >{tmp_path}/env\n", encoding="ascii")
    program.chmod(0o755)
    settings = Settings(llama_server=str(program), socket_folder=str(tmp_path))
    served = maker(settings, environment={"LLAMA_ARG_CACHE_RAM": "7"})(CONFIG)
    run = asyncio.create_task(served.run())
    await eventually(lambda: served.engine.failure)
    await served.stop(0)
    assert run.done()
    assert "LLAMA_ARG_CACHE_RAM=7" in (tmp_path / "env").read_text(encoding="utf-8").split()
