"""A page in Prometheus' text format (version 0.0.4), written in a few microseconds a line.

prometheus_client takes seven a sample: half a second of a standing event loop for a thousand
models. Its families still make what is small (see exposition.py).
"""

from collections.abc import Iterable
from typing import Literal

from modelrunner.gateway.telemetry.histogram import Histogram

Labels = str
"""`name="value",…` as it stands between the braces, "" for none."""


def labels(**values: str) -> Labels:
    """Label pairs, escaped."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


class Page:
    """Families in the order in which they are written."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def family(
        self,
        name: str,
        kind: Literal["counter", "gauge"],
        text: str,
        samples: Iterable[tuple[Labels, float]],
    ) -> None:
        """A family of plain samples; one without samples is left out."""
        lines = [
            f"{name}{{{at}}} {value}\n" if at else f"{name} {value}\n" for at, value in samples
        ]
        if lines:
            self._head(name, kind, text)
            self._parts += lines

    def histograms(self, name: str, text: str, samples: Iterable[tuple[Labels, Histogram]]) -> None:
        """A family of histograms; those without a value are left out."""
        lines: list[str] = []
        for at, histogram in samples:
            comma = "," if at else ""
            count = 0.0
            for bound, count in histogram.cumulative():
                lines.append(f'{name}_bucket{{{at}{comma}le="{bound}"}} {count}\n')
            if not count:
                del lines[-len(histogram.counts) :]
                continue
            of = f"{{{at}}}" if at else ""
            lines.append(f"{name}_sum{of} {histogram.total}\n{name}_count{of} {count}\n")
        if lines:
            self._head(name, "histogram", text)
            self._parts += lines

    def text(self) -> bytes:
        """What was written so far."""
        return "".join(self._parts).encode()

    def _head(self, name: str, kind: str, text: str) -> None:
        self._parts.append(f"# HELP {name} {text}\n# TYPE {name} {kind}\n")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
