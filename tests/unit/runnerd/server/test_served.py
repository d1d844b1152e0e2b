"""One engine with all that is around it."""

import asyncio
import os
from pathlib import Path

from runnerd.server.served import Served
from tests.support.scripted_runner import CONFIG, QUICK, SETTINGS, ScriptedLaunch, eventually


async def test_it_starts_its_engine_and_leaves_nothing(tmp_path: Path) -> None:
    """The engine is started by whoever supervises it; after the stop there is no trace of it."""
    launch = ScriptedLaunch(tmp_path, late=True)
    served = Served(CONFIG, SETTINGS, launch, delays=QUICK)
    assert not launch.children
    run = asyncio.create_task(served.run())
    await eventually(lambda: served.engine.ready)
    assert len(launch.children) == 1
    await served.stop(2)
    assert run.done()
    assert launch.children[0].poll() == 0
    assert served.session.closed
    assert not _exists(launch.socket)
    # A second time does no harm.
    await served.stop(0)


def _exists(path: str) -> bool:
    return os.path.lexists(path)


async def test_stopped_before_it_ran(tmp_path: Path) -> None:
    """What was stopped starts nothing any more."""
    launch = ScriptedLaunch(tmp_path, late=True)
    served = Served(CONFIG, SETTINGS, launch, delays=QUICK)
    await served.stop(0)
    await served.run()
    assert not launch.children


async def test_names_are_somebody_elses(tmp_path: Path) -> None:
    """Where names were resolved before, each one is taken."""
    launch = ScriptedLaunch(tmp_path, late=True)
    usual = Served(CONFIG, SETTINGS, launch)
    any_ = Served(CONFIG, SETTINGS, launch, knows=lambda _: True)
    assert not usual.checks.knows("other")
    assert any_.checks.knows("other")
    for served in (usual, any_):
        await served.stop(0)
