"""A download as its layers tell of it. Pure."""

from collections.abc import Sequence

from modelrunner_protocol import dmr
from modelrunner_protocol.wire import WeightsFile


class Layers:
    """Turns bytes of the whole artifact into progress of its layers, which come one by one.

    Args:
        files: In the order in which they are downloaded.
    """

    def __init__(self, files: Sequence[WeightsFile]) -> None:
        self._files = files
        self._total = sum(file.size_bytes for file in files)
        self._at = 0
        self._before = 0
        self._told = -1

    def since(self, completed: int) -> list[dmr.Line]:
        """What is new when so many bytes of all files are there: each layer's end is told once."""
        lines = []
        while self._at < len(self._files):
            file = self._files[self._at]
            current = min(max(0, completed - self._before), file.size_bytes)
            if current != self._told:
                lines.append(self._line(file, current))
                self._told = current
            if current < file.size_bytes:
                break
            self._before += file.size_bytes
            self._at += 1
            self._told = -1
        return lines

    def _line(self, file: WeightsFile, current: int) -> dmr.Line:
        layer = f"sha256:{file.sha256}"
        return dmr.downloaded(layer, size=file.size_bytes, current=current, total=self._total)
