"""The line: a place is kept, given up and found again."""

import asyncio
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.gateway.dialects import OPENAI
from modelrunner.gateway.hold.waiting import Claim, Line, Waiting
from tests.support.virtual_time import run


class _Claim:
    """As much of a claim as its place needs."""

    stream = False
    dialect = OPENAI
    heartbeat = OPENAI.heartbeat

    def __init__(self, arrived_at: float) -> None:
        self.arrived_at = arrived_at


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_the_line_is_sorted_by_arrival(arrivals: list[tuple[int, bool]]) -> None:
    """Also of those who arrived in the same moment: who joined first goes first."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        line = Line()
        kept = []
        for number, (arrived_at, stays) in enumerate(arrivals):
            claim = cast("Claim", _Claim(arrived_at))
            waiting = Waiting(claim, number, loop.create_future(), lambda _: None)
            line.join(waiting)
            assert waiting in line
            if stays:
                kept.append(waiting)
            else:
                assert line.remove(waiting)
                assert not line.remove(waiting)
        assert len(line) == len(kept)
        for expected in sorted(kept, key=lambda one: one.order):
            assert line.first is expected
            assert line.pop() is expected
        assert not line

    run(scenario())
