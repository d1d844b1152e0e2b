"""What was written is sent to the disk early."""

from pathlib import Path

from runnerd.weights.writeback import begin_writeback


def test_the_bytes_stay(tmp_path: Path) -> None:
    """It changes nothing of a file, and says nothing of a handle that is none."""
    with (tmp_path / "file").open("wb") as file:
        file.write(b"weights" * 100_000)
        file.flush()
        begin_writeback(file.fileno())
    assert (tmp_path / "file").read_bytes() == b"weights" * 100_000
    begin_writeback(-1)
