"""The operator's probe and the real runner: both sides of the door understand each other."""

from pathlib import Path

from modelrunner.reconcilers.probe import Door, HttpRunnerProbe
from modelrunner_protocol.runner import Closing
from tests.support.scripted_runner import running


async def test_a_real_runners_door(tmp_path: Path) -> None:
    """It closes over the use that was told and over no other, drains, and opens."""
    async with running(tmp_path) as served:
        probe = HttpRunnerProbe(port=served.port)
        try:
            before = await probe.runner_status("127.0.0.1")
            assert before is not None
            assert (before.last_used_at, before.in_flight, before.closed_until) == (None, 0, None)

            assert (await served.chat())[0] == 200
            late = await probe.close_door("127.0.0.1", Closing(last_used_at=before.last_used_at))
            assert late.door is Door.BUSY
            assert late.status is not None

            now = Closing(last_used_at=late.status.last_used_at)
            closed = await probe.close_door("127.0.0.1", now)
            assert closed.door is Door.CLOSED
            told = await probe.runner_status("127.0.0.1")
            assert told is not None
            assert told.closed_until is not None
            assert (await served.chat())[0] == 503
            assert (await probe.close_door("127.0.0.1", now)).door is Door.CLOSED

            await probe.open_door("127.0.0.1")
            assert (await served.chat())[0] == 200
            drained = await probe.close_door("127.0.0.1", Closing(drain=True))
            assert drained.door is Door.CLOSED
            assert drained.status is not None
            assert drained.status.in_flight == 0
        finally:
            await probe.close()
