"""What a volume's errors mean."""

import errno
import os
from pathlib import Path

import pytest

from runnerd.weights.disk import VolumeFullError, check_space, failure_of, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (4831838208, "4.50 GiB"),
        (1 << 41, "2.00 TiB"),
    ],
)
def test_size_text(size: int, text: str) -> None:
    """Sizes are written in the units that volumes are asked for in."""
    assert size_text(size) == text


def test_what_fits_passes(tmp_path: Path) -> None:
    """Bytes that are on the volume already need no more space."""
    check_space(tmp_path, 1 << 20, 0)
    check_space(tmp_path, 1 << 60, 1 << 60)


def test_what_never_fits_is_hopeless(tmp_path: Path) -> None:
    """Weights larger than the whole volume are told apart from a volume that is full just now."""
    with pytest.raises(VolumeFullError, match=r"need 1048576.00 TiB, .* are free") as failure:
        check_space(tmp_path, 1 << 60, 0)
    assert failure.value.hopeless
    assert not failure.value.retryable
    assert 0 < failure.value.missing_bytes < 1 << 60


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_volume(code: int, tmp_path: Path) -> None:
    """No space, no quota and a file that is too large all come down to space."""
    failure = failure_of(OSError(code, os.strerror(code)), tmp_path, 3 << 30)
    assert isinstance(failure, VolumeFullError)
    assert "the weights need 3.00 GiB" in str(failure)
    # The volume itself has room, so a quota is the cause, and nobody knows how large that is.
    assert failure_of(OSError(code, "x"), tmp_path, 1).missing_bytes == 0


def test_what_is_held_is_not_missing(tmp_path: Path) -> None:
    """A claim has to grow by what is not on it yet, and not at all by what is."""
    full = OSError(errno.ENOSPC, "x")
    needed = _free(tmp_path) + (1 << 40)
    failure = failure_of(full, tmp_path, needed, held=1 << 39)
    assert abs(failure.missing_bytes - (1 << 39)) < 1 << 30
    assert failure_of(full, tmp_path, 0).missing_bytes == 0


def test_a_need_that_nobody_knows_is_not_told(tmp_path: Path) -> None:
    """Zero bytes would always fit."""
    said = str(failure_of(OSError(errno.ENOSPC, "x"), tmp_path, 0))
    assert "too full: " in said
    assert " are free: use a larger cache" in said
    assert "the weights" not in said


def test_a_volume_that_became_read_only(tmp_path: Path) -> None:
    """What has been written shows that it was not always so; somebody may mend it."""
    failure = failure_of(OSError(errno.EROFS, "x"), tmp_path, 2048, held=1024)
    assert "has become read-only, with 1.00 KiB of 2.00 KiB on it" in str(failure)
    assert failure.retryable
    unknown = failure_of(OSError(errno.EROFS, "x"), tmp_path, 0, held=1024)
    assert "with 1.00 KiB on it" in str(unknown)


def _free(path: Path) -> int:
    stats = os.statvfs(path)
    return stats.f_bavail * stats.f_frsize


@pytest.mark.parametrize(
    ("code", "says", "retryable"),
    [
        (errno.EROFS, "mounted read-only, and 2.00 KiB", False),
        (errno.EACCES, f"user {os.geteuid()} may not write", False),
        (errno.EPERM, "set the pod's fsGroup", False),
        (errno.EIO, "Input/output error", True),
        (errno.ESTALE, "Stale file handle", True),
        (errno.ENOENT, "No such file or directory", False),
    ],
)
def test_other_errors(code: int, says: str, retryable: bool, tmp_path: Path) -> None:
    """Errors say what to change; those of a network file system may pass."""
    failure = failure_of(OSError(code, os.strerror(code)), tmp_path, 2048)
    assert says in str(failure)
    assert failure.retryable is retryable
