"""Lines on stderr that tell what happens, at least every two seconds."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

_SAME_WORDS_EVERY: Final = 5


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
        """Say `what`; until the block ends say what changed in `detail()`, and that it goes on.

        A change is told every interval, the same words again only every fifth time.
        """
        self.say(what)
        done = threading.Event()

        def repeat() -> None:
            said, silent = "", 0
            while not done.wait(self._interval):
                text = detail() or "still at it"
                silent += 1
                if text != said or silent >= _SAME_WORDS_EVERY:
                    self.say(f"{what}: {text}")
                    said, silent = text, 0

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
