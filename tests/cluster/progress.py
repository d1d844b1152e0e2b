"""Lines on stderr that tell what happens, at least every two seconds."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO


class Progress:
    """Writes `  12.3 s  text` lines; the time counts from the making of the object."""

    def __init__(self, stream: TextIO | None = None, interval: float = 2.0) -> None:
        self._stream = stream
        self._interval = interval
        self._begin = time.monotonic()

    def say(self, text: str) -> None:
        """Write one line now."""
        elapsed = time.monotonic() - self._begin
        print(f"{elapsed:7.1f} s  {text}", file=self._stream or sys.stderr, flush=True)

    @contextlib.contextmanager
    def during(self, what: str, detail: Callable[[], str] = lambda: "") -> Iterator[None]:
        """Say `what`, and say it again with `detail()` every interval until the block ends."""
        self.say(what)
        done = threading.Event()

        def repeat() -> None:
            while not done.wait(self._interval):
                self.say(f"{what}: {detail() or 'still at it'}")

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
