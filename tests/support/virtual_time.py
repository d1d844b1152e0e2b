"""An event loop in which waiting takes no time: timers fire at once, in order.

    def test_it() -> None:
        async def scenario() -> None:
            await asyncio.sleep(3600)
        run(scenario())

Only for code that waits for timers alone; real I/O would be waited for without a clock.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Skips the time until the next timer."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; the wait is only counted."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing will ever happen: no timer is set and no I/O is ready")
        if not ready and timeout:
            self.skipped += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock starts at 1000 s and jumps."""

    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Virtual seconds."""
        return 1000.0 + self._skipping.skipped


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


def virtual(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine function, run in virtual time."""

    @wraps(scenario)
    def test(*args: Any, **named: Any) -> None:
        run(scenario(*args, **named))

    return test
