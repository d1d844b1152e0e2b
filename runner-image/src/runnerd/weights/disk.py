"""What a volume's errors and its free space mean for a pull."""

import errno
import os
from pathlib import Path
from typing import Final

from modelrunner_protocol.reasons import Reason
from runnerd.weights.failure import WeightsError

SLACK: Final = 1024 * 1024
"""Bytes beside the weights: the manifest, folders, the file system's own blocks."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_MAY_PASS: Final = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR})
_UNITS: Final = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size_text(size: float) -> str:
    """Bytes as people write them: 4831838208 → "4.50 GiB"."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{int(size)} B"


def check_space(root: Path, needed: int, held: int) -> None:
    """Refuse a download that does not fit.

    Args:
        root: Where the volume is mounted.
        needed: Bytes of all files.
        held: Bytes of them that are on the volume already.

    Raises:
        VolumeFullError: there is less free space than is still needed.
    """
    stats = os.statvfs(root)
    free = stats.f_bavail * stats.f_frsize
    if needed - held + SLACK > free:
        capacity = stats.f_blocks * stats.f_frsize
        raise VolumeFullError(root, needed=needed, free=free + held, capacity=capacity)


class VolumeFullError(WeightsError):
    """The weights do not fit. `hopeless`: they would not even fit on the empty volume.

    `needed` is 0 where nobody knows.
    """

    def __init__(self, root: Path, *, needed: int, free: int, capacity: int) -> None:
        wanted = f"the weights need {size_text(needed)}, " if needed else ""
        super().__init__(
            f"the volume at {root} is too full: {wanted}{size_text(free)} of "
            f"{size_text(capacity)} are free: use a larger cache, or free space",
            reason=Reason.CACHE_TOO_SMALL,
        )
        self.missing_bytes = max(0, needed + SLACK - free)
        self.hopeless = needed + SLACK > capacity


def failure_of(error: OSError, root: Path, needed: int, held: int = 0) -> WeightsError:
    """The failure to tell for an error of the volume at `root`.

    Args:
        error: What the volume said.
        root: Where it is mounted.
        needed: Bytes that were to be written, 0 where nobody knows yet.
        held: Bytes of them that are there.
    """
    what = error.strerror or type(error).__name__
    if error.errno in _FULL:
        stats = os.statvfs(root)
        free, capacity = stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize
        full = VolumeFullError(root, needed=needed, free=free, capacity=capacity)
        # What we have written ourselves is given back. A quota may be used up before the volume is.
        full.missing_bytes = max(0, needed + SLACK - free - held) if needed else 0
        return full
    if error.errno == errno.EROFS and held:
        whole = f" of {size_text(needed)}" if needed else ""
        return WeightsError(
            f"the volume at {root} has become read-only, with {size_text(held)}{whole} on it: see why on its node or its server (most turn so after an error of the disk), and "
            "make it writable; the pull goes on where it ended",
            retryable=True,
        )
    if error.errno == errno.EROFS:
        wanted = f", and {size_text(needed)} are to be written" if needed else ""
        return WeightsError(
            f"the volume at {root} is mounted read-only{wanted}: use a volume that can be written"
        )
    if error.errno in _FORBIDDEN:
        return WeightsError(
            f"user {os.geteuid()} may not write to the volume at {root} ({what}): "
            "set the pod's fsGroup, or the owner of the volume's folders"
        )
    return WeightsError(f"the volume at {root} failed: {what}", retryable=error.errno in _MAY_PASS)
