"""The tables of pulls, and the programs that are measured."""

import sys
from pathlib import Path

import pytest

from runnerd.weights.gguf import parse
from tests.cluster.errors import ClusterError
from tests.perf.bench_pull import figures, folder_at, main, verdicts
from tests.perf.pulls.origins import write_model
from tests.perf.pulls.runs import GIB, MIB, Client, Run, fetch


def test_ratios_are_ours_by_theirs() -> None:
    """Speed as programs end, speed until the disk has it, and processor time."""
    rounds = {"runnerd": [Run(2, 2, 3, 50 * MIB)], "curl": [Run(1, 4, 1.5, 10 * MIB)]}
    _, ours, theirs = figures(rounds, GIB).splitlines()
    assert ours.split() == ["runnerd", "512", "512", "3.00", "50"]
    assert theirs.split() == ["curl", "1,024", "256", "1.50", "10", "0.50", "2.00", "2.00"]


def test_aims_are_told() -> None:
    """Each with the number that it is about."""
    rounds = {"runnerd": [Run(2, 2, 3, 120 * MIB)], "curl": [Run(1, 4, 1.5, 10 * MIB)]}
    told = verdicts(rounds)
    assert told[0] == "0.50 times curl's speed, as they end: aim ≥ 0.9: NOT met"
    assert told[1] == "2.00 times curl's speed, to disk: aim ≥ 0.9: met"
    assert told[2] == "120 MiB at the peak, aim ≤ 100: NOT met"


def test_the_folder_is_made(tmp_path: Path) -> None:
    """With those above it; one that is there is taken."""
    for _ in range(2):
        assert folder_at(str(tmp_path / "a" / "b")).is_dir()


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, no stack."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["bench_pull", "--folder", str(tmp_path / "file" / "new")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--folder: no folder can be made at" in capsys.readouterr().err


def test_the_model_passes_for_one(tmp_path: Path) -> None:
    """Of the size that was asked for, with a header that runnerd accepts."""
    model = write_model(tmp_path, 3 * MIB + 5)
    assert model.file.stat().st_size == 3 * MIB + 5
    assert parse(model.file.read_bytes()[:4096], model.size) is not None


def test_a_program_is_measured_to_its_end(tmp_path: Path) -> None:
    """Time, processor time and the peak of its memory; who leaves no file has failed."""
    program = (
        "import sys, threading; block = bytes(64 << 20); "
        "threading.Event().wait(0.2); open(sys.argv[1], 'wb').write(b'12345')"
    )
    client = Client("x", (sys.executable, "-c", program, "{out}/file"), "")
    found = fetch(client, tmp_path / "out", 5)
    assert found.seconds >= 0.2
    assert found.synced >= found.seconds
    assert found.cpu > 0
    with pytest.raises(ClusterError, match="left no file of 6 bytes"):
        fetch(client, tmp_path / "out", 6)


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    """With the end of what it said."""
    client = Client("x", (sys.executable, "-c", "import sys; sys.exit('no such host')"), "")
    with pytest.raises(ClusterError, match=r"x failed \(1\): no such host"):
        fetch(client, tmp_path / "out", 5)
