"""Numbers in words, for printer columns: those cannot format what they show."""

from typing import Final

from modelrunner_protocol.durations import format_duration

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_size(size: float) -> str:
    """Bytes as people read them: 96573440 → "92.1 MiB", 512 → "512 B"."""
    step = 0
    while round(size, 1) >= 1024 and step < len(_UNITS) - 1:
        size /= 1024
        step += 1
    return f"{size:.1f} {_UNITS[step]}" if step else f"{int(size)} B"


def format_progress(
    percent: int | None, bytes_per_second: float | None, eta_seconds: float | None
) -> str:
    """A download in a few words: "43% 12.1 MiB/s ETA 1m20s"; what is not known is left out."""
    parts = [] if percent is None else [f"{percent}%"]
    if bytes_per_second is not None:
        parts.append(f"{format_size(bytes_per_second)}/s")
    if eta_seconds is not None:
        parts.append(f"ETA {format_duration(round(eta_seconds))}")
    return " ".join(parts)
