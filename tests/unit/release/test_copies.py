"""`release.copies`: copies that are copies."""

from pathlib import Path

import pytest

from release import copies


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A source with two files; a target with an old one, and one that is no longer made."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a.yaml").write_text("1")
    (source / "b.yaml").write_text("2")
    (target / "b.yaml").write_text("old")
    (target / "c.yaml").write_text("3")
    return source, target


def test_every_difference_is_told(folders: tuple[Path, Path]) -> None:
    """Missing, changed and left over."""
    assert copies.differences(*folders) == ["a.yaml", "b.yaml", "c.yaml"]


def test_copying_mends_all_of_them(folders: tuple[Path, Path]) -> None:
    """Afterwards both folders hold the same."""
    copies.copy(*folders)
    assert copies.differences(*folders) == []
    assert not (folders[1] / "c.yaml").exists()


def test_check_fails_and_names_the_file(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A drift is an exit status and a line that says what to run."""
    found = copies.differences(*folders)
    monkeypatch.setattr(copies, "differences", lambda: found)
    assert copies.main(["--check"]) == 1
    assert "b.yaml is not a copy: run make crds" in capsys.readouterr().err
    monkeypatch.setattr(copies, "differences", list)
    assert copies.main(["--check"]) == 0
